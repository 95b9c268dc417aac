"""Widgets of the terminal program, one a file."""
