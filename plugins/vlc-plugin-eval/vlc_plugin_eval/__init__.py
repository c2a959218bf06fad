"""Evaluators of vision-language models for vlc."""
