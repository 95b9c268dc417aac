"""Durable workflows: the engine, the runner and the steps, independent of their work."""
