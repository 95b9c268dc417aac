"""Activity: workflows and events, and the start of the platform."""
