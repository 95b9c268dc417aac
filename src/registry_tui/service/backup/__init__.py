"""Backups of a whole platform, their restoration, and upgrades that go back when they fail."""
