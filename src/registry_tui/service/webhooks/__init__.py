"""Webhooks: who is told of events, what is sent, and where it may be sent to."""
