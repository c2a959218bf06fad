"""Zero-shot classification and retrieval for vlc."""
