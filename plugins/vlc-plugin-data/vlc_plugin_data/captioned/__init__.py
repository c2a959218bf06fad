"""Annotation files that list images with several captions each."""
