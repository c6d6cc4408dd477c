"""Every example does what its comment says to expect."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcli import RunConfig, create_run, get_run_logs, wait_for_run_status
from tests.conftest import PlatformOfTests

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def program(*arguments: str | Path, seconds: float = 60) -> str:
    ended = subprocess.run(
        arguments, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=seconds
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_hello_world_says_hello_world(machine: PlatformOfTests) -> None:
    mcli = Path(sys.executable).with_name("mcli")
    assert "Hello World!\n" in program(mcli, "run", "-f", EXAMPLES / "hello_world.yaml", "--follow")


def test_the_sweep_finds_the_best_learning_rate(machine: PlatformOfTests) -> None:
    printed = program(sys.executable, EXAMPLES / "lr_sweep.py")
    assert printed.count("final loss") == 4
    assert "best: lr 0.1 (lr-sweep-" in printed


def test_two_ranks_train_one_model_with_pytorch(machine: PlatformOfTests) -> None:
    pytest.importorskip("torch")
    run = create_run(RunConfig.from_file(str(EXAMPLES / "distributed/run.yaml")))
    wait_for_run_status(run, "COMPLETED", timeout=110)
    for rank in (0, 1):
        lines = get_run_logs(run, rank=rank).splitlines()
        assert f"[rank {rank} of 2] the loss went down, and all ranks hold the same parameters" in lines
