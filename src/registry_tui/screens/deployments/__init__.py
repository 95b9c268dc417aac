"""Model Deployments, their replicas and API keys."""
