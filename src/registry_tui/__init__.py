"""registry-tui: an open Model Registry driven from the terminal."""

__version__ = "0.1.0"
