"""Signatures of versions: the keys of environments, what they sign, and whether a signature counts."""
