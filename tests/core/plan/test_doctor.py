"""The doctor on this machine, and on machines that have something."""

from __future__ import annotations

import os
from collections import namedtuple

import pytest
import torch

from vlc_core.plan import doctor
from vlc_core.plan.doctor import examine
from vlc_core.plugins import Plugins, plugins
from vlc_core.plugins.discovery import Offer

Usage = namedtuple("Usage", "total used free")


def test_this_machine_can_train():
    findings = examine(plugins())
    assert [f for f in findings if f.verdict == "broken"] == []
    subjects = [f.subject for f in findings]
    assert subjects[:4] == ["python", "packages", "deepspeed", "devices"] or torch.cuda.is_available()
    assert {"cpu", "threads", "memory", "decoding", "plugin clip"} <= set(subjects)
    assert all(f.found for f in findings)


def only(findings):
    (finding,) = findings
    return finding


@pytest.mark.parametrize(
    ("threads", "cores", "verdict", "words"),
    [(1, 8, "slow", "OMP_NUM_THREADS=8"), (8, 8, "ok", ""), (64, 2, "slow", "more threads than cores")],
)
def test_threads_are_judged_by_the_cores_that_may_be_used(monkeypatch, threads, cores, verdict, words):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(doctor, "_cores", lambda: cores)
    monkeypatch.setattr(doctor, "_has_cuda", lambda: False)
    finding = only(doctor._threads())
    assert finding.verdict == verdict
    assert words in finding.cure


def test_a_containers_quota_counts_as_its_cores(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_CGROUP", tmp_path)
    allowed = len(os.sched_getaffinity(0))
    assert doctor._cores() == allowed
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert doctor._cores() == allowed
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert doctor._cores() == 1


def test_a_containers_memory_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(f"{512 << 20}\n")
    assert "may use 0.5 GiB" in only(doctor._memory()).found
    (tmp_path / "memory.max").write_text("max\n")
    assert "may use" not in only(doctor._memory()).found


@pytest.mark.parametrize(("size", "verdict"), [(64 << 20, "slow"), (4 << 30, "ok")])
def test_little_shared_memory_is_said(monkeypatch, tmp_path, size, verdict):
    monkeypatch.setattr(doctor, "_SHARED", tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage(size, 0, size))
    finding = only(doctor._shared_memory())
    assert finding.verdict == verdict
    assert ("--shm-size" in finding.cure) == (verdict == "slow")


def test_a_deepspeed_that_cannot_be_imported_is_broken(monkeypatch):
    monkeypatch.setattr(doctor, "_DEEPSPEED", "import no_such_module")
    finding = only(doctor._deepspeed())
    assert finding.verdict == "broken"
    assert "no_such_module" in finding.found
    assert "pip install" in finding.cure


def test_a_missing_package_is_broken(monkeypatch):
    monkeypatch.setattr(doctor, "installed_version", lambda name: None if name == "tokenizers" else "1.0")
    findings = {f.subject: f for f in doctor._versions()}
    assert findings["packages"].verdict == "broken"
    assert findings["packages"].cure == "pip install tokenizers"


@pytest.mark.parametrize(("capability", "verdict"), [("DEFAULT", "slow"), ("AVX2", "ok"), ("AVX512", "ok")])
def test_vector_units_are_judged(monkeypatch, capability, verdict):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(doctor, "_has_cuda", lambda: False)
    finding = only(doctor._processor())
    assert finding.verdict == verdict
    assert capability in finding.found


def test_plugins_that_were_not_loaded_are_broken_unless_switched_off():
    made = Plugins()
    made.reject(Offer("old", "old:plugin", "vlc-plugin-old", "0.0"), "incompatible", "it is old", "upgrade it")
    made.reject(Offer("off", "off:plugin", "vlc-plugin-off", "0.0"), "disabled", "left out", "add it")
    verdicts = {f.subject: f.verdict for f in doctor._plugins(made)}
    assert verdicts == {"plugin old": "broken", "plugin off": "ok"}
