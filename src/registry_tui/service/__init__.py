"""The service layer: all rules, behind a REST API."""
