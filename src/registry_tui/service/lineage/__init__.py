"""Lineage: what things came from, and what depends on them."""
