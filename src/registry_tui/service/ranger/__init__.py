"""Ranger's policies: who may do what with the objects of RAZ-enabled environments."""
