"""Composer in a run reports to the platform by itself: it finds it, is let in, and what it says is kept.

Composer is installed as the published clients are, once, for the gate (CI=true). It brings gigabytes with it:
where it has not been installed yet, a person's tests do without.
"""

import os
from pathlib import Path

import pytest

from mcli import RunConfig, create_run, get_run_logs, wait_for_run_status
from tests.compat.install import COMPOSER, directory, install
from tests.conftest import PlatformOfTests


@pytest.mark.skipif(
    os.environ.get("CI") != "true" and not directory(COMPOSER).exists(),
    reason="Composer (5 GB) is installed where CI=true",
)
@pytest.mark.timeout(1800)
def test_a_composer_training_shows_its_progress_in_the_metadata_of_its_run(machine: PlatformOfTests) -> None:
    python = install(COMPOSER) / "bin" / "python"
    program = Path(__file__).parents[2] / "examples" / "composer_training.py"
    # The client is to be the one Composer brings, not the one under test
    run = create_run(
        RunConfig(name="composer", image="mosaicml/composer", command=f"env -u PYTHONPATH {python} {program}")
    )
    ended = wait_for_run_status(run, "COMPLETED", timeout=240)
    assert "MosaicMLLogger" in get_run_logs(run)
    metadata = ended.metadata or {}
    assert metadata["mosaicml/training_progress"] == "[epoch=2/2]"
    assert {"mosaicml/model_initialized_time", "mosaicml/train_finished_time"} <= metadata.keys()
