"""Storage of a registry: its usage and clean-up."""
