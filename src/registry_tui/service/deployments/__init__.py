"""Deployments: the rules, their settings, models and Python environments."""
