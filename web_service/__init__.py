"""The token server and console of a registry."""
