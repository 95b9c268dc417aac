"""Lineage: the origins of objects, and their dependents."""
