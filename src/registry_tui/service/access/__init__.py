"""People, collaborators and API keys."""
