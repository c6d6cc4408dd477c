"""The real program, with a platform of its own that ends when the tests have."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcli.models.run_status import RunStatus

#: Every status in which a run has not ended.
ACTIVE = "pending,scheduled,queued,starting,running,terminating,stopping"

PROGRAM = str(Path(sys.executable).parent / "mcli")


class Mcli:
    """Runs `mcli` in a directory of its own, with a configuration of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("MOSAICML_", "MCLI_"))
        }
        self.environment["MCLI_CONFIG_DIR"] = str(directory / "config")

    def __call__(
        self, *arguments: str, code: int = 0, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, and check its exit code."""
        ended = subprocess.run(
            [PROGRAM, *arguments],
            cwd=self.directory,
            env={**self.environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == code, f"{arguments}: {ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def interrupted(self, *arguments: str, once: str) -> tuple[int, str, str]:
        """Start a command, press Ctrl-C once it has printed a line with `once`; return how it ended."""
        with self.start(*arguments) as process:
            assert process.stdout is not None
            printed = ""
            for line in process.stdout:
                printed += line
                if once in line:
                    process.send_signal(signal.SIGINT)
                    break
            rest, said = process.communicate(timeout=30)
            return process.returncode, printed + rest, said

    def on_terminal(self, *arguments: str) -> tuple[int, str]:
        """Run a command where all it prints goes to a terminal; return its exit code and what was seen."""
        terminal, its_end = os.openpty()
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.directory,
            env={**self.environment, "TERM": "xterm", "COLUMNS": "80"},
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
        )
        os.close(its_end)
        seen = b""
        with contextlib.suppress(OSError):  # EIO: the program has ended
            while more := os.read(terminal, 65536):
                seen += more
        os.close(terminal)
        return process.wait(timeout=30), seen.decode().replace("\r\n", "\n")

    def config(self, command: str, name: str = "test", **fields: Any) -> str:
        """Write a run configuration and return its path."""
        path = self.directory / f"{name}.yaml"
        values = {
            "name": name,
            "image": "bash",
            "command": command,
            "compute": {"gpu_type": "none"},
            **fields,
        }
        path.write_text(json.dumps({**values, **fields}))  # JSON is YAML
        return str(path)

    def submit(self, command: str, name: str = "test", **fields: Any) -> str:
        """Submit a run and return its name."""
        return self("run", "-f", self.config(command, name, **fields)).stdout.strip()

    def record(self, name: str) -> dict[str, Any]:
        """All that is known about a run."""
        (found,) = json.loads(self("get", "runs", name, "--include-deleted", "-o", "json").stdout)
        return dict(found)

    def wait(self, name: str, *statuses: RunStatus) -> dict[str, Any]:
        """Wait until a run is in one of `statuses`; until it has ended where none is given."""
        deadline = time.monotonic() + 30
        while True:
            found = self.record(name)
            status = RunStatus(found["status"])
            if status in statuses or (not statuses and status.is_terminal()):
                return found
            assert time.monotonic() < deadline, f"{name} is {status} after 30 s"


@pytest.fixture(scope="session")
def mcli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mcli]:
    """`mcli` with a platform on this machine, started by the first command that needs one."""
    program = Mcli(tmp_path_factory.mktemp("mcli"))
    yield program
    try:
        names = program("get", "runs", "-s", ACTIVE, "--limit", "none", "-o", "name").stdout.split()
        if names:
            program("stop", "runs", *names, "-y")
            for name in names:
                program.wait(name)
    finally:
        program("platform", "stop")


@pytest.fixture
def offline(tmp_path: Path) -> Mcli:
    """`mcli` where no platform may be needed."""
    return Mcli(tmp_path)
