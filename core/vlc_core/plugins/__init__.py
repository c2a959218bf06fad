"""The plugins of this process: found by their metadata, loaded one by one behind a guard."""

from vlc_core.plugins.guarded import Plugins, PluginStatus, load_plugins, plugins

__all__ = ["PluginStatus", "Plugins", "load_plugins", "plugins"]
