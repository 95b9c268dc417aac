"""Stages of versions, protected aliases, approvals, and the one place that lets them through."""
