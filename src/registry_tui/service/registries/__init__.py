"""Model registries: their life cycle and their views."""
