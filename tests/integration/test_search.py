"""The installed ``vlc embed``, killed and begun again, and ``vlc search`` in what it wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

from vlc_cli.main import run


def test_embed_survives_a_kill_and_search_finds_digits(vlc, vlc_path, trained, monkeypatch):
    folder, _ = trained
    embed = ("embed", "{use: digits, split: test}", "--model", "run", "--batch-size", "1", "--part-size", "10")
    begun = subprocess.Popen([vlc_path, *embed, "--out", "killed"], cwd=folder, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (folder / "killed" / "image-00001.parquet").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(begun.pid, signal.SIGKILL)  # with its readers
    begun.wait()
    assert not (folder / "killed" / "finished.json").exists()
    resumed = vlc(*embed, "--out", "killed", "--json", cwd=folder)
    assert resumed.code == 0, resumed.err
    told = json.loads(resumed.out)
    assert told["parts"]["kept"] >= 2
    assert told["rows"] == {"image": told["samples"]}
    monkeypatch.chdir(folder)
    assert run([*embed, "--out", "once"]) == 0
    for file in (folder / "once").iterdir():
        assert (folder / "killed" / file.name).read_bytes() == file.read_bytes(), file.name
    found = vlc("search", "run", "killed", "--text", "the digit three", "-k", "3", "--html", "found.html", cwd=folder)
    assert found.code == 0, found.err
    assert "the digit three" in found.out
    assert (folder / "found.html").read_text().count("data:image/png") == 3
