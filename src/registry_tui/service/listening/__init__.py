"""The platform over the network: HTTPS, tokens, and one port for the service, MLflow and deployments."""
