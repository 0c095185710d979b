"""Clients of other servers, unchanged, pointed at this one: `make clients`."""
