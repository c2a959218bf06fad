"""Contrast over images, texts and labels at once, its usual rivals, and their recipes for vlc."""
