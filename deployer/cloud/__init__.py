"""The one door to the network: calls, listings, credentials, retries."""
