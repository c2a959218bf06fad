"""Image and text encoders and tokenizers for vlc."""
