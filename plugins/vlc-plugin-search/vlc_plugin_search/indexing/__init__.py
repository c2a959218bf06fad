"""Embeddings as one index: exact by blocks, or a graph of neighbours."""
