"""Whether somebody answers is known in seconds, and no address at all is somebody who does not."""

from __future__ import annotations

import socket

import pytest

from vlc_core import network


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", *(n for p in ("https_proxy", "all_proxy") for n in (p, p.upper()))):
        monkeypatch.delenv(name, raising=False)


def test_a_port_that_is_open_answers_and_one_that_is_closed_does_not(listener):
    assert network.answers(f"spark://127.0.0.1:{listener}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    assert not network.answers(f"http://127.0.0.1:{closed}", seconds=1)


@pytest.mark.parametrize(
    "url", ["", "nowhere", "spark://host", "http://:80", "http://127.0.0.1:port", "http://x:99999"]
)
def test_what_is_no_address_does_not_answer(url):
    assert not network.answers(url, seconds=0.1)


def test_the_hub_is_where_the_environment_says(listener, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listener}")
    assert network.hub() == f"http://127.0.0.1:{listener}"
    assert network.hub_answers()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not network.hub_answers()


def test_a_proxy_answers_for_whatever_is_behind_it(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert not network.hub_answers()
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    assert network.hub_answers()
