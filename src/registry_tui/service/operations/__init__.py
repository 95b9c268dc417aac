"""Operations: the platform's status, events and workflows as people see them."""
