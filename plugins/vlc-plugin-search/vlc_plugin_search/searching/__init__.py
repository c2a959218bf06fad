"""Queries, what is found for them, and how that is shown."""
