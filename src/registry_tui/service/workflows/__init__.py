"""Durable workflows of small idempotent steps."""
