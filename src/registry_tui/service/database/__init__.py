"""The service database: tables, sessions, migrations."""
