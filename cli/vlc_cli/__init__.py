"""The ``vlc`` command line."""
