"""The registry: an OCI distribution and Docker registry server."""
