"""Environments, workspaces, projects and their collaborators."""
