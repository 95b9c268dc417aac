"""Signatures of versions: the keys of environments, the signed content, and whether a signature counts."""
