"""Contrast of noisy image-text pairs at scale: ALIGN's objective, its image encoder, and recipes for vlc."""
