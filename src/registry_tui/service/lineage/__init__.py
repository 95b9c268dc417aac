"""Lineage: which versions came from which runs."""
