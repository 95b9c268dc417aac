"""MLflow's clients, generation by generation, against one platform: `make compatibility`."""
