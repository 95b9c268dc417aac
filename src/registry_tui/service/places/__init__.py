"""Environments, workspaces and projects."""
