"""Datasets, samplers, transforms and prompt templates for vlc."""
