"""The REST API: the application, its routes and its errors."""
