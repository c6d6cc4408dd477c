"""What is on disk of a rank: the one place that knows how it is laid out, and how to ask who looks after it.

<home>/runs/<run id>/<resumption>/<rank>/
    devices.json            what it was handed, so that a restarted platform does not hand it out twice
    state                   claimed, started, ended: written and locked by its supervisor (launcher.py)
    work/                   where its command runs
    config/parameters.yaml
    private/                secrets and token, while it runs, where it cannot have them in memory only
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mapi.clusters.local.devices import RankDevices
from mapi.clusters.local.launcher import STATE_FILE, claim, write_state
from mapi.domain.exits import exit_reason
from mapi.domain.run import ExecutionId

#: The variable by which the processes of a rank can be found when its supervisor was killed.
MARKER = "MAPI_EXECUTION"

_RUNS, _HELD = "runs", "held"

#: `struct flock` of Linux: type, whence, start, length, process.
_FLOCK = struct.Struct("hhqqi4x")
_REMAINS_DEADLINE = 10.0


class RankState(msgspec.Struct, frozen=True):
    """What a rank's supervisor wrote. Times in milliseconds since 1970.

    `note`: why the parameters are not mounted. `code`: as a shell reports it. `error`: why the command could
    not be started.
    """

    started: int | None = None
    note: str | None = None
    ended: int | None = None
    code: int | None = None
    signal: int | None = None
    error: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it ended as it did; None for success."""
        return self.error or exit_reason(self.code, self.signal)


class RankFiles:
    """The files of one rank."""

    def __init__(self, home: Path, execution: ExecutionId, rank: int) -> None:
        self.directory = run_directory(home, execution.run_id) / str(execution.resumption) / str(rank)
        self.marker = f"{execution}/{rank}"
        self._held = home / _HELD / f"{execution.run_id}.{execution.resumption}.{rank}"

    @property
    def parameters(self) -> Path:
        """The directory that holds the parameters file."""
        return self.directory / "config"

    @property
    def private(self) -> Path:
        """The directory that stands for `/` in the paths of secrets."""
        return self.directory / "private"

    def create(self, devices: RankDevices) -> None:
        """Make the directory, and put down what the rank was handed: a restarted platform must know."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._held.write_bytes(msgspec.json.encode(devices))

    def release(self) -> None:
        """Put down that the rank has nothing any more, and keep none of its secrets."""
        shutil.rmtree(self.private, ignore_errors=True)
        self._held.unlink(missing_ok=True)

    def inspect(self) -> tuple[int | None, RankState]:
        """Return `supervisor`, and the state read after it: without a supervisor it is final."""
        supervisor = self.supervisor()
        try:
            return supervisor, self.read_state()
        except OSError:
            if supervisor is not None:
                os.close(supervisor)
            raise

    def read_state(self) -> RankState:
        """What is known of the rank."""
        try:
            return msgspec.json.decode((self.directory / STATE_FILE).read_bytes(), type=RankState)
        except (FileNotFoundError, msgspec.DecodeError):
            return RankState()

    def supervisor(self) -> int | None:
        """Return a pidfd of the process that looks after the rank, or None where there is none."""
        try:
            state = os.open(self.directory / STATE_FILE, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            while holder := _holder(state):
                try:
                    handle = os.pidfd_open(holder)
                except ProcessLookupError:
                    continue
                if _holder(state) == holder:
                    return handle
                os.close(handle)
            return None
        finally:
            os.close(state)

    def signal(self, number: int) -> bool:
        """Send a signal to the supervisor; return whether there was one."""
        handle = self.supervisor()
        if handle is None:
            return False
        try:
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def abandon(self, state: RankState) -> None:
        """End a rank that was never started, so that a request for it still under way starts nothing.

        Args:
            state: what will be known of it from now on.
        """
        if self.directory.is_dir() and (file := claim(str(self.directory))) is not None:
            write_state(file, msgspec.to_builtins(state))
            os.close(file)

    def kill_remains(self) -> None:
        """Kill every process of the rank, found by its marker: for when no supervisor is left to do it.

        Raises:
            TimeoutError: some would not die.
        """
        deadline = time.monotonic() + _REMAINS_DEADLINE
        marker = f"{MARKER}={self.marker}".encode()
        while remains := list(_marked(marker)):
            for handle in remains:
                try:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                except OSError as error:
                    if error.errno != errno.ESRCH:
                        raise
                finally:
                    os.close(handle)
            time.sleep(0.01)
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{len(remains)} processes with {MARKER}={self.marker} could not be killed"
                )


def run_directory(home: Path, run_id: str) -> Path:
    """The directory of a run.

    Raises:
        ValueError: `run_id` is not a plain name.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", run_id):
        raise ValueError(f"run id {run_id!r} is not a name of letters, digits, '.', '_' and '-'")
    return home / _RUNS / run_id


def read_held(home: Path) -> Iterator[tuple[ExecutionId, int, RankDevices]]:
    """Every rank that had not been seen to end, with its devices. Makes directories where there are none."""
    for name in (_HELD, _RUNS):
        (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (home / _HELD).iterdir():
        run_id, resumption, rank = path.name.rsplit(".", 2)
        try:
            devices = msgspec.json.decode(path.read_bytes(), type=RankDevices)
        except msgspec.DecodeError:  # half written, so that the rank was not started yet
            path.unlink()
            continue
        yield ExecutionId(run_id, int(resumption)), int(rank), devices


def _holder(state: int) -> int:
    """The process that has the lock of a state file, 0 for none."""
    question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, process = _FLOCK.unpack(fcntl.fcntl(state, fcntl.F_GETLK, question))
    return 0 if kind == fcntl.F_UNLCK else int(process)


def _marked(marker: bytes) -> Iterator[int]:
    """Pidfds of the processes whose environment has `marker`."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            handle = os.pidfd_open(int(entry.name))
        except OSError:
            continue
        try:
            found = marker in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            found = False
        if found:
            yield handle
        else:
            os.close(handle)
