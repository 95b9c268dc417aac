"""Registering: new versions and their archives."""
