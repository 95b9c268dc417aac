"""The platform: its parts, started, probed and stopped."""
