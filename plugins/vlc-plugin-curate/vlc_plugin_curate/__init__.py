"""What data is made of before it is trained on: filters, near-duplicates and overlap for vlc."""
