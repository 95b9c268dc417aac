"""Admission: what a version has to meet before it is deployed, promoted or given an alias."""
