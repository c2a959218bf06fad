from vlc_core.naming import SourceSpec, find_sources

__all__ = ["SourceSpec", "find_sources"]
