"""IDBroker's mappings: which machine users have the Data Access Role of an environment without RAZ."""
