"""Finds the formats of a model's files and the imports of loading them, without loading them."""
