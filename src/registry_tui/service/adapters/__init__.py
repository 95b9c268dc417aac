"""The edge: MLflow, its users and roles, and the compaction of volumes."""
