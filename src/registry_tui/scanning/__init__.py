"""Reads which formats files of a model have and what loading them would import; nothing is ever loaded."""
