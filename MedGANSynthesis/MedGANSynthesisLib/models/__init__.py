"""What there is to know about models: the manager, their cards, and the provenance of what they made."""
