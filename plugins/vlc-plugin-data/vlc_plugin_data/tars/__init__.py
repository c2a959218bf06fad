"""Tar shards with random access: where each sample stands in them, kept in a small index beside each."""

from vlc_plugin_data.tars.shards import IndexedShard, index_shards

__all__ = ["IndexedShard", "index_shards"]
