"""Durable workflows: a module for each kind of work, and the catalogue of them all."""
