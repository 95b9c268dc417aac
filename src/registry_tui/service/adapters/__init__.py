"""The edge: MLflow, the object store, access control."""
