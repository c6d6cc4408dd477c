"""Composer in a run reports to the platform by itself: it finds it, is let in, and what it says is kept.

Composer brings gigabytes and the published client with it, so that it is not installed for the tests. Where
MCLI_TEST_COMPOSER names the Python of an environment that has it (`pip install mosaicml`), it is run.
"""

import os
from pathlib import Path

import pytest

from mcli import RunConfig, create_run, get_run_logs, wait_for_run_status
from tests.conftest import PlatformOfTests

PYTHON = os.environ.get("MCLI_TEST_COMPOSER", "")


@pytest.mark.skipif(not PYTHON, reason="MCLI_TEST_COMPOSER names no Python that has Composer")
@pytest.mark.timeout(300)
def test_a_composer_training_shows_its_progress_in_the_metadata_of_its_run(machine: PlatformOfTests) -> None:
    program = Path(__file__).parents[2] / "examples" / "composer_training.py"
    # The client is to be the one Composer brings, not the one under test
    run = create_run(
        RunConfig(name="composer", image="mosaicml/composer", command=f"env -u PYTHONPATH {PYTHON} {program}")
    )
    ended = wait_for_run_status(run, "COMPLETED", timeout=240)
    assert "MosaicMLLogger" in get_run_logs(run)
    metadata = ended.metadata or {}
    assert metadata["mosaicml/training_progress"] == "[epoch=2/2]"
    assert {"mosaicml/model_initialized_time", "mosaicml/train_finished_time"} <= metadata.keys()
