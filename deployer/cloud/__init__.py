"""The only access to the network: requests, listings, credentials and retries.

Public: `client.Client`, the requests of all kinds; `transport.Transport`, one HTTP request with its retries;
`credentials.find` and `auth.sign_in`; `hosts.hosts`, where credentials may go; `observe.observe`, the live jobs of all
kinds. They are not imported here: they need an HTTP library, and most verbs start without one.
"""
