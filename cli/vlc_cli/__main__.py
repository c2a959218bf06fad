"""``python -m vlc_cli`` is ``vlc``."""

from vlc_cli.main import main

main()
