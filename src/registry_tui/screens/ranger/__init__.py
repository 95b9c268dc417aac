"""Ranger's policies of RAZ-enabled environments: the list, a policy whole, its form."""
