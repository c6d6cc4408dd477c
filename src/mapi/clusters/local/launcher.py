"""The small process that starts ranks, and what each rank's supervisor does.

Run as a script, without what is installed, so that a fork of it is cheap: `python -I -S launcher.py FD`.

    platform ──socket──▶ launcher ──fork──▶ supervisor, one a rank ──posix_spawn──▶ bash -c …
                                                      log file ◀──splice── pipe ◀──────┘

The launcher ends with the platform; a supervisor belongs to nobody's lifetime but its rank's. Each message
on the socket carries two descriptors: a file with the rank's specification (JSON; it is never on disk, since
the environment may hold secrets), and a pipe. The pipe only says when to look at the rank's state file: a
byte when the command has started, its end when the supervisor is done, or dead, or was never forked.

The state file is one block, overwritten in place, so that a disk that fills up later cannot lose an exit
code. Its supervisor holds a record lock on it for as long as it lives: whoever asks the kernel for the holder
knows both whether a rank is looked after and by which process, without racing for the lock itself.

Only what is small is imported (no pathlib): every supervisor is a copy of this process.
"""
# ruff: noqa: PTH100, PTH103, PTH108, PTH112, PTH118, PTH120, PTH123, PTH208

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import json
import math
import os
import signal
import socket
import sys
import time
from typing import Any

if __name__ == "__main__":  # run by its path: where the package is, Python has not been told
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))

from mapi.clusters.local import mounts
from mapi.clusters.local.output import pipe, start_draining
from mapi.clusters.local.shells import Shells

STATE_FILE = "state"
STATE_BLOCK = 4096
#: Characters of a text in it: two fit even if each is written as six.
_TEXT = 250

#: How long what a command left behind has, between the gentle signal and the hard one. Seconds.
LEFTOVER_GRACE = 2.0

_A_DAY = 86_400.0

#: A stop, and a stop at once. Blocked everywhere and taken one by one, so that none is lost or comes between.
STOP, FORCE = signal.SIGTERM, signal.SIGUSR1
_HANDLED = {STOP, FORCE, signal.SIGCHLD, signal.SIGIO}
_ALL_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}

_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def claim(directory: str) -> int | None:
    """Return the rank's state file, locked while this process lives; None where it was claimed before."""
    state = os.open(os.path.join(directory, STATE_FILE), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(state)
        return None
    if os.fstat(state).st_size:
        os.close(state)
        return None
    return state


def write_state(state: int, record: dict[str, Any]) -> None:
    """Overwrite the one block of a state file."""
    os.pwrite(state, json.dumps(record).encode().ljust(STATE_BLOCK), 0)


def now_ms() -> int:
    """The wall clock, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def serve(requests: socket.socket) -> None:
    """Fork a supervisor for every request, until the platform closes its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    gc.freeze()
    while True:
        message, received, _, _ = socket.recv_fds(requests, 1, 2)
        if not message:
            return
        for descriptor in received:
            os.set_inheritable(descriptor, False)
        try:
            forked = os.fork() if len(received) == 2 else -1
        except OSError:
            forked = -1
        if forked == 0:
            try:
                requests.close()
                run_rank(*received)
            finally:
                os._exit(0)
        for descriptor in received:
            os.close(descriptor)


def run_rank(specification: int, nudge: int) -> None:
    """Start one rank's command and stay until nothing of it is left."""
    with open(specification, encoding="utf-8") as file:
        spec = json.load(file)
    state = claim(spec["directory"])
    if state is None:
        return
    record: dict[str, Any] = {}
    try:
        _detach()
        record["note"] = _prepare(spec)
        log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT, 0o600)
        record["started"] = now_ms()
        write_state(state, record)
        command, output = _spawn(spec)
    except (OSError, ValueError) as error:
        code = (127 if isinstance(error, FileNotFoundError) else 126) if "started" in record else None
        write_state(state, {**record, "ended": now_ms(), "code": code, "error": str(error)[:_TEXT]})
        return
    shells = Shells(spec["directory"], spec["env"])  # while the command starts: it need not wait for them
    with contextlib.suppress(BrokenPipeError):  # a platform that is away reads the state file when it is back
        os.write(nudge, b"+")
    drained = start_draining(output, log)
    status = supervise(command, spec["grace"], shells)
    drained.join(LEFTOVER_GRACE)
    for path, *_ in spec["plain"]["files"]:
        with contextlib.suppress(OSError):
            os.unlink(path)
    outcome = {"code": shell_code(status)}
    if os.WIFSIGNALED(status):
        outcome["signal"] = os.WTERMSIG(status)
    write_state(state, {**record, "ended": now_ms(), **outcome})


def shell_code(status: int) -> int:
    """Return a wait status as a shell reports it: 128 + n for signal n."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def supervise(command: int, grace: float, shells: Shells) -> int:
    """Wait until `command` and all it left has ended; end that when told to, or when `command` is gone.

    Args:
        command: process id of a direct child.
        grace: seconds between a stop's gentle signal and its hard one.
        shells: what is to be served as long as `command` runs.

    Returns:
        The wait status of `command`.
    """
    status = None
    deadline = math.inf
    while True:
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == command:
                    status = ended[1]
                    shells.close()
                else:
                    shells.ended(ended[0], shell_code(ended[1]))
        except ChildProcessError:
            return status or 0
        if status is not None and deadline == math.inf:
            _terminate_descendants()
            deadline = time.monotonic() + LEFTOVER_GRACE
        patience = deadline - time.monotonic()
        if patience <= 0:
            _kill_children()
            patience = 0.05
        received = signal.sigtimedwait(_HANDLED, min(patience, shells.patience(), _A_DAY))
        if received is None:
            continue
        if received.si_signo == signal.SIGIO:
            shells.attend()
        elif received.si_signo == FORCE:
            deadline = -math.inf
        elif received.si_signo == STOP and deadline == math.inf:
            _terminate_descendants()
            deadline = time.monotonic() + grace


def _detach() -> None:
    """Become a process of nobody's, and the one that inherits every orphan of its own."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)


def _prepare(spec: dict[str, Any]) -> str | None:
    """Write and mount the rank's files and enter the work directory; return why there is no mount, if so.

    What is private is in memory only, where this process can have a mount, and in files otherwise.
    """
    directory = spec["directory"]
    work, config = os.path.join(directory, "work"), os.path.join(directory, "config")
    os.makedirs(work, exist_ok=True)
    os.makedirs(config, exist_ok=True)
    with open(os.path.join(config, spec["parameters_file"]), "w", encoding="utf-8") as file:
        file.write(spec["parameters"])
    if spec["cpus"]:
        os.sched_setaffinity(0, spec["cpus"])
    note, way = None, spec["mounted"]
    try:
        mounts.isolate()
        mounts.memory(spec["private"], 0o700)
        _write_private(way["files"])
        mounts.show(spec["mounts"], os.path.join(directory, "mount"))
    except OSError as error:
        note = f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)
        way = spec["plain"]
        os.makedirs(spec["private"], mode=0o700, exist_ok=True)
        _write_private(way["files"])
    spec["env"] = way["env"]
    os.chdir(work)
    return note and note[:_TEXT]


def _write_private(files: list[tuple[str, str, int]]) -> None:
    for path, text, mode in files:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)


def _spawn(spec: dict[str, Any]) -> tuple[int, int]:
    """Start the command; return its process id, and the end of the pipe where its output can be read."""
    output, written = pipe()
    command = os.posix_spawnp(
        "bash",
        ["bash", "-c", "--", spec["command"]],
        spec["env"],
        file_actions=[(os.POSIX_SPAWN_DUP2, written, 1), (os.POSIX_SPAWN_DUP2, written, 2)],
        setpgroup=0,
        setsigmask=(),
        setsigdef=_ALL_SIGNALS,
    )
    os.close(written)
    return command, output


def _children(parent: int) -> list[int]:
    """The processes whose parent is `parent`, in any of its threads."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{parent}/task"):
            with open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    except OSError:
        return _scan(parent) if os.path.isdir(f"/proc/{parent}") else []
    return found


def _scan(parent: int) -> list[int]:
    """The same, on a kernel without lists of children."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(int(name)) == parent]


def _parent(process: int) -> int | None:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def _terminate_descendants() -> None:
    """Send the gentle signal to every process below this one, parents first: none shall take a next step."""
    below = [(process, os.getpid()) for process in _children(os.getpid())]
    for process, _ in below:
        below += [(child, process) for child in _children(process)]
    for process, parent in below:
        _terminate(process, {parent, os.getpid()})


def _terminate(process: int, parents: set[int]) -> None:
    """Signal a process if it is still the one that was found: its number may be a stranger's by now."""
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(process)
        try:
            if _parent(process) in parents:
                signal.pidfd_send_signal(handle, signal.SIGTERM)
        finally:
            os.close(handle)


def _kill_children() -> None:
    """Kill every direct child. What they leave becomes a direct child in turn."""
    for process in _children(os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    _REQUESTS = int(sys.argv[1])
    os.closerange(_REQUESTS + 1, os.sysconf("SC_OPEN_MAX"))  # whatever the platform's own parent left open
    os.set_inheritable(_REQUESTS, False)
    serve(socket.socket(fileno=_REQUESTS))
