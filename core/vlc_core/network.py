"""Whether somebody answers, before a library that tries for minutes is asked."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

SECONDS = 5.0

HUB = "https://huggingface.co"
_PROXIES = ("https_proxy", "all_proxy")
_YES = ("1", "true", "yes", "on")
_PORTS = {"http": 80, "https": 443}


def hub() -> str:
    """The address of the model and data hub: the environment's ``HF_ENDPOINT``, or the public one."""
    return os.environ.get("HF_ENDPOINT") or HUB


def hub_answers() -> bool:
    """Whether the hub takes a connection; no under ``HF_HUB_OFFLINE``, and yes behind a proxy, which will tell."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in _YES:
        return False
    if any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        return True
    return answers(hub())


def answers(url: str, *, seconds: float = SECONDS) -> bool:
    """Whether the host and port of ``url`` take a connection within ``seconds``; no where there is no such address."""
    try:
        address = urlsplit(url)
        port = address.port or _PORTS.get(address.scheme)
        if not address.hostname or port is None:
            return False
        socket.create_connection((address.hostname, port), timeout=seconds).close()
    except (OSError, ValueError):
        return False
    return True
