"""Checks that plugin authors call from their own tests."""
