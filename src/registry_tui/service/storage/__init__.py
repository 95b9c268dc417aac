"""Storage of a registry: what it uses, and its clean-up."""
