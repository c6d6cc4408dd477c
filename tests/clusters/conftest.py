from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.clusters.suite")

from tests.clusters.local_stage import stage_in  # noqa: E402
from tests.clusters.suite import Stage  # noqa: E402


@pytest.fixture
def new_stage(tmp_path: Path) -> Callable[[], Stage]:
    return lambda: stage_in(tmp_path)
