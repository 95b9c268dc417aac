"""Webhooks: their list, deliveries, and forms."""
