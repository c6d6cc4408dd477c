"""Configurations written for the original platform are read, refused with what is missing, or placed."""

from pathlib import Path

import pytest

from mcli import InstanceTypeUnavailable, RunConfig, RunStatus, create_run, get_run, wait_for_run_status
from tests.conftest import PlatformOfTests

CONFIGS = Path(__file__).parents[2].parent / "shared" / "real-configs"
pytestmark = pytest.mark.skipif(not CONFIGS.is_dir(), reason="the configurations are not at hand")

FILES = sorted(CONFIGS.glob("*.yaml")) if CONFIGS.is_dir() else []
each = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def gpus(config: RunConfig) -> int:
    return config.gpus or 0


def test_there_are_eleven() -> None:
    assert len(FILES) == 11


@each
def test_it_loads_and_round_trips(file: Path, tmp_path: Path) -> None:
    config = RunConfig.from_file(str(file))
    written = tmp_path / "again.yaml"
    config.to_file(str(written))
    assert RunConfig.from_file(str(written)) == config


@each
@pytest.mark.filterwarnings("ignore:.*llama3.1-70b-finetune")
def test_without_its_gpus_it_is_refused_with_what_is_missing(machine: PlatformOfTests, file: Path) -> None:
    config = RunConfig.from_file(str(file))
    if not gpus(config):
        return  # it asks for none, and is taken: see the next test
    with pytest.raises(InstanceTypeUnavailable, match=f"{gpus(config)} GPUs"):
        create_run(config)


@each
@pytest.mark.filterwarnings("ignore:.*llama3.1-70b-finetune")
def test_with_pretend_gpus_it_is_placed(lab: PlatformOfTests, file: Path) -> None:
    config = RunConfig.from_file(str(file))
    run = create_run(config)
    assert run.gpus == gpus(config)
    ended = wait_for_run_status(run, "FAILED", timeout=20)  # its repository cannot be cloned yet: it says so
    assert RunStatus.STARTING in {step.status for step in ended.lifecycle}
    assert len({node.name for node in ended.nodes}) == ended.node_count == max(1, gpus(config) // 8)
    assert "git_repo" in str(ended.reason)


def test_one_that_does_not_fit_now_waits_with_a_reason(lab: PlatformOfTests) -> None:
    blocker = RunConfig(name="all", image="bash", command="sleep 60", gpu_type="a100_80gb", gpu_num=16)
    wait_for_run_status(create_run(blocker), "RUNNING", timeout=20)
    run = create_run(RunConfig.from_file(str(CONFIGS / "mcli-1b.yaml")))
    wait_for_run_status(run, "QUEUED", timeout=20)
    assert "waiting for 8 GPUs of type a100_80gb on lab; 0 free" in str(get_run(run).reason)
