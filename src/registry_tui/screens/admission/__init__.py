"""Pages of admission rules: what an environment asks of versions, and exceptions from it."""
