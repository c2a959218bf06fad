"""The CLIP objective and its recipes for vlc."""
