"""Stores: where archives are kept."""
