"""Tokenizers: trained on a run's captions, or read from files."""
