"""The terminal program: the Textual app, how it opens, and how it follows the service."""
