"""MLflow plugin: stock SDK code registers into the environment's Model Registry."""
