"""Admission: requirements for a version to be deployed, promoted or given an alias."""
