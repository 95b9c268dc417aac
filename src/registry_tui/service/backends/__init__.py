"""Backends: where replicas run."""
