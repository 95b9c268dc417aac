"""What is known of versions: signatures and trusted keys, cards, bills of materials, evidence."""
