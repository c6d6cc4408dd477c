"""Processes of containers, as the kubelet handles them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapi.clusters.local import mounts

_PROGRAM = Path(__file__).parent / "container.py"
_LIBRARY = str(Path(mounts.__file__).parent)


class StartError(Exception):
    """The runtime could not start a command; the message is its own."""


@dataclass
class Process:
    """A command that runs. `pid`: of the command itself, as this machine sees it."""

    supervisor: asyncio.subprocess.Process
    pid: int

    async def wait(self) -> int:
        return await self.supervisor.wait()

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it and everything it started, at once."""
        if self.supervisor.returncode is None:
            self.signal(signal.SIGKILL)

    def memory(self) -> int:
        """Bytes that it and its children have in memory."""
        return sum(_resident(pid) for pid in _family(self.pid))


async def start(spec: dict[str, Any], directory: Path) -> Process:
    """Start a container's command; its output is at the supervisor's `stdout` and `stderr`."""
    pipe = asyncio.subprocess.PIPE
    return await _spawn("start", spec, directory, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)


async def join(spec: dict[str, Any], directory: Path, **streams: Any) -> Process:
    """Start a command beside a container's."""
    return await _spawn("join", spec, directory, **streams)


async def _spawn(how: str, spec: dict[str, Any], directory: Path, **streams: Any) -> Process:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{how}-{os.urandom(4).hex()}.json"
    path.write_text(json.dumps({**spec, "library": _LIBRARY}))
    ours, theirs = os.pipe()
    try:
        supervisor = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", "-X", "utf8", str(_PROGRAM), how, str(path), str(theirs)),
            pass_fds=[theirs],
            start_new_session=True,
            **streams,
        )
    finally:
        os.close(theirs)
    told = await _read_all(ours)
    path.unlink()
    failed = [line.removeprefix("failed: ") for line in told.splitlines() if line.startswith("failed: ")]
    running = [line.removeprefix("process ") for line in told.splitlines() if line.startswith("process ")]
    if failed or not running:
        await supervisor.wait()
        raise StartError(failed[0] if failed else "the runtime ended before it said anything")
    return Process(supervisor, int(running[0]))


async def _read_all(descriptor: int) -> str:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    with os.fdopen(descriptor, "rb", 0) as file:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        try:
            return (await reader.read()).decode()
        finally:
            transport.close()


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in _family(int(child)))]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
