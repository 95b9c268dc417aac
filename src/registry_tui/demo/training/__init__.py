"""The demo's training: stock MLflow and scikit-learn code; nothing of registry-tui but the plan's words is used."""
