"""Webhooks: which addresses get messages about events, their content, and which hosts are allowed."""
