"""Frozen pydantic models that the client and the service share: the words of the REST API."""
