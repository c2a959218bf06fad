"""Anything that vlc reads to pairs in Parquet: tables as they are, everything else sample by sample."""
