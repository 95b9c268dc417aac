"""Ranger's policies: permissions on the objects of RAZ-enabled environments."""
