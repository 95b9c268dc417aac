"""Experiments, runs and their artifacts, read from MLflow."""
