"""Samplers: pure functions from sample numbers to samples."""
