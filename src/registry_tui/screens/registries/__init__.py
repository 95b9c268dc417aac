"""Model Registries: their list, one registry, its storage and events."""
