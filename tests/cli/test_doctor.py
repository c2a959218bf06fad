"""``vlc doctor``: what is found, and its exit code."""

from __future__ import annotations

import json

from vlc_cli.main import run
from vlc_core.plugins import Plugins
from vlc_core.plugins.discovery import Offer


def test_a_machine_that_can_train_ends_with_0(capsys):
    assert run(["doctor"]) == 0
    told = capsys.readouterr().out
    for subject in ("python", "deepspeed", "threads", "decoding", "plugin encoders"):
        assert f"\n{subject} " in told


def test_programs_are_told_the_same(capsys):
    assert run(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert all(set(finding) == {"subject", "verdict", "found", "cure"} for finding in findings)
    assert {finding["verdict"] for finding in findings} <= {"ok", "slow"}


def test_a_broken_plugin_ends_with_1(capsys, monkeypatch):
    made = Plugins()
    made.reject(Offer("torn", "torn:plugin", "vlc-plugin-torn", "0.1"), "broken", "it has no heart", "reinstall it")
    monkeypatch.setattr("vlc_core.plugins.plugins", lambda: made)
    assert run(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "plugin torn" in told
    assert "it has no heart; reinstall it" in told
