"""Rules that several parts must apply alike. Standard library only, so that every part may import them."""
