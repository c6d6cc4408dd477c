"""The real program, with a platform of its own that ends when the tests have."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from mcli.models.run_status import RunStatus

#: Every status in which a run has not ended.
ACTIVE = "pending,scheduled,queued,starting,running,terminating,stopping"

PROGRAM = str(Path(sys.executable).parent / "mcli")


class Terminal:
    """A program at a terminal of a known size, and all it has printed there."""

    def __init__(
        self, command: list[str], directory: Path, environment: dict[str, str], columns: int, lines: int
    ) -> None:
        self._end, its_end = os.openpty()
        self.seen = ""
        self.resize(columns, lines)
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env={**environment, "TERM": "xterm-256color"},
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
            start_new_session=True,
        )
        os.close(its_end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(timeout=30)
        os.close(self._end)

    def resize(self, columns: int, lines: int) -> None:
        """Change the size of the window."""
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Press keys; Ctrl-C is a signal."""
        os.write(self._end, keys.encode())

    def wait_for(self, pattern: str, seconds: float = 30) -> str:
        """Wait until what was printed has a match of a regular expression, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            assert self._read(deadline - time.monotonic()), f"no {pattern!r} in {self.seen!r}"
        return found[0]

    def ended(self, seconds: float = 30, answers: Mapping[str, str] | None = None) -> int:
        """Read to the end, and return the exit code; `answers` are typed where their patterns are asked."""
        deadline = time.monotonic() + seconds
        while self._read(deadline - time.monotonic()):
            for question, answer in (answers or {}).items():
                if re.search(question, self.seen):
                    self.press(answer)
        return self.process.wait(timeout=max(0, deadline - time.monotonic()))

    def _read(self, seconds: float) -> bool:
        """Read what comes next; False if nothing did, or all has come."""
        ready, _, _ = select.select([self._end], [], [], max(0, seconds))
        more = b""
        if ready:
            with contextlib.suppress(OSError):  # EIO: the program has ended
                more = os.read(self._end, 65536)
        self.seen += more.decode(errors="replace").replace("\r\n", "\n")
        return bool(more)


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

    def start(self, *arguments: str, binary: bool = False) -> subprocess.Popen[Any]:
        """Start a command that goes on."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=not binary,
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

    def terminal(self, *arguments: str, columns: int = 80, lines: int = 24) -> Terminal:
        """Start a command at a terminal of that size."""
        return Terminal([PROGRAM, *arguments], self.directory, self.environment, columns, lines)

    def on_terminal(self, *arguments: str) -> tuple[int, str]:
        """Run a command where all it prints goes to a terminal; return its exit code and what was seen."""
        with self.terminal(*arguments) as terminal:
            code = terminal.ended()
        return code, terminal.seen

    def python(self, script: str) -> str:
        """Run a Python program with the same configuration, and return what it prints."""
        return subprocess.run(
            [sys.executable, "-c", script],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

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
