"""Weights of other projects, by their names and ours."""
