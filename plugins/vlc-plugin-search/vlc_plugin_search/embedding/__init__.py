"""From a source to embeddings on disk: read ahead, encoded, written part by part."""
