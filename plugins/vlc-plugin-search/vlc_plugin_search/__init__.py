"""Embeddings of a whole source, an index of them, and search by text and image for vlc."""
