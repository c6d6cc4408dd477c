from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml


def check(name: str, home: Path, clusters: dict[str, object]) -> subprocess.CompletedProcess[str]:
    home.mkdir()
    (home / "mapi.yaml").write_text(yaml.safe_dump({"clusters": clusters}))
    command = [sys.executable, "-m", "mapi", "cluster", "check", name, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_local_cluster_shows_its_nodes_and_what_the_machine_allows(tmp_path: Path) -> None:
    pretend = [{"name": "a", "gpu_type": "a100_80gb", "gpus": 8, "cpus": 64}]
    checked = check("lab", tmp_path / "home", {"lab": {"kind": "local", "pretend": pretend}})
    assert checked.returncode == 0, checked.stderr
    lines = checked.stdout.splitlines()
    assert lines[0] == "lab (local)"
    assert lines[1].split() == "ok node a 64 CPUs, GPUs: 8 of type a100_80gb".split()
    for what in ("private mounts", "inotify", "GPUs by NVML"):
        assert any(what in line for line in lines)


def test_a_real_machine_shows_itself(tmp_path: Path) -> None:
    checked = check("here", tmp_path / "home", {"here": {"kind": "local"}})
    assert checked.returncode == 0
    assert f"node {os.uname().nodename}" in checked.stdout


def test_a_cluster_that_is_not_configured_gets_a_suggestion(tmp_path: Path) -> None:
    checked = check("lib", tmp_path / "home", {"lab": {"kind": "local"}})
    assert checked.returncode == 1
    assert checked.stderr == "mapi: cluster 'lib' is not configured; did you mean lab?\n"
