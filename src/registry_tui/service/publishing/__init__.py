"""Publishing: files and roles that MLflow and the gateway read."""
