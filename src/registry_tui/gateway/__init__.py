"""The one address of all deployments: checks API keys, finds a replica, and tries another when one dies."""
