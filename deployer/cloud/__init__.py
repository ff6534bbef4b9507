"""The only package that opens connections: requests, listings, credentials, retries."""
