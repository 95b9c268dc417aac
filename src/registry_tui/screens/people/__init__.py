"""People of the installation: users with their tokens, groups, and roles in environments."""
