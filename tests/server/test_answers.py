"""A submission that was written but never answered is given to the client that sends it again, once."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

import mcli
from mcli import embedded
from tests.conftest import PlatformOfTests

CREATE = "mutation CreateRun($data: CreateRunInput!) { createRun(createRunData: $data) { name } }"


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformOfTests:
    platform = PlatformOfTests(tmp_path)
    platform.use(monkeypatch)
    return platform


def create(platform: PlatformOfTests, command: str = "true") -> str:
    """Create a run as a client does that sends no idempotency key."""
    info = platform.running()
    run_input = {"runName": "again", "image": "bash", "command": command}
    body = {"query": CREATE, "variables": {"data": {"runInput": run_input}}}
    headers = {"Authorization": info.api_key, "Content-Type": "application/json"}
    with urlopen(Request(info.endpoint, json.dumps(body).encode(), headers)) as response:
        name: str = json.load(response)["data"]["createRun"][0]["name"]
    return name


def test_what_was_not_answered_is_made_up_for_and_what_was_is_made_anew(platform: PlatformOfTests) -> None:
    try:
        answered, unanswered = create(platform), create(platform)
        platform.kill()
        notes = platform.home / "answered"
        lines = notes.read_text().splitlines(keepends=True)
        assert len(lines) == 2
        notes.write_text(lines[0])  # as if the server had died before it answered the second
        other = create(platform, "echo other")
        assert create(platform) == unanswered
        anew = create(platform)
        assert sorted(run.name for run in mcli.get_runs()) == sorted({answered, unanswered, other, anew})
    finally:
        embedded.stop()


def test_answers_are_remembered_over_several_starts(platform: PlatformOfTests) -> None:
    try:
        names = set()
        for _ in range(3):
            names.add(create(platform))
            platform.kill()
        names.add(create(platform))
        assert len(names) == 4
    finally:
        embedded.stop()
