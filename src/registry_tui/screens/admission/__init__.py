"""Pages of admission rules: an environment's requirements for versions, and exceptions."""
