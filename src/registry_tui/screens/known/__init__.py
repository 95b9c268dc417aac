"""Facts about versions: signatures and trusted keys, cards, bills of materials, evidence."""
