"""Readers for the files of datasets that pair an image, or two, with a sentence."""
