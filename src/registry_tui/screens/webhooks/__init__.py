"""Webhooks: their list, what was delivered, and the forms."""
