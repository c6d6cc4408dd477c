"""The shells of a rank: asked for at a socket in its directory, started by its supervisor.

    platform ──socket, one a shell──▶ supervisor ──posix_spawn──▶ bash on a terminal

A shell is a child of the supervisor, as the rank's command is, so it has the same environment, work
directory, mounts and CPUs without anybody looking them up, and what is left of it ends when the rank does.
Its connection brings the terminal and what to run, says how the shell ended, and by its own end that nobody
sits at the terminal any more, whether that is a person's doing or the platform was killed.

The supervisor waits for signals and for nothing else, so it has the kernel send one (SIGIO) when there is
something to do at a socket. As launcher.py this is imported by every supervisor: only what is small is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping

#: The name of the socket.
_DOOR = "shells"

#: Bytes of a request: more than a command can have that a shell accepts.
_REQUEST = 1 << 18

#: Shells asked for at once.
_BACKLOG = 64

#: How long a shell whose terminal is gone has, between the hang-up and the kill. Seconds.
_HANGUP_GRACE = 2.0

#: What the terminal is, whichever the platform was started from.
_TERM = "xterm-256color"


@contextlib.contextmanager
def door(directory: str) -> Iterator[str]:
    """The address of a rank's socket. A path may be longer than an address can be, hence the way round."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{_DOOR}"
    finally:
        os.close(handle)


class Shells:
    """The shells of one rank, in its supervisor.

    A rank whose directory cannot hold a socket runs all the same; it has no shells.
    """

    def __init__(self, directory: str, environment: Mapping[str, str]) -> None:
        self._environment = {**environment, "TERM": _TERM}
        self._callers: list[socket.socket] = []
        self._running: dict[int, socket.socket] = {}
        self._overdue: dict[int, float] = {}
        self._door = _open_door(directory)

    def attend(self) -> None:
        """Do what there is to do at the sockets."""
        while self._door is not None:
            try:
                caller, _ = self._door.accept()
            except OSError:
                break
            _signal_when_ready(caller)
            self._callers.append(caller)
        self._callers = [caller for caller in self._callers if not self._answer(caller)]
        for shell, connection in self._running.items():
            if shell not in self._overdue and _is_at_end(connection):
                self._hang_up(shell)

    def ended(self, process: int, code: int) -> None:
        """Tell how a shell ended, if the process was one."""
        self._overdue.pop(process, None)
        connection = self._running.pop(process, None)
        if connection is not None:
            _close(connection, code)

    def patience(self) -> float:
        """Kill what has been told to end and did not; return the seconds until that is to be done again."""
        now = time.monotonic()
        for shell in [shell for shell, deadline in self._overdue.items() if deadline <= now]:
            self._overdue[shell] = math.inf
            with contextlib.suppress(OSError):
                os.killpg(shell, signal.SIGKILL)
        return min(self._overdue.values(), default=math.inf) - now

    def close(self) -> None:
        """Start no more shells, and tell those there are to end."""
        if self._door is not None:
            self._door.close()
            self._door = None
        for caller in self._callers:
            caller.close()
        self._callers.clear()
        for shell in self._running:
            self._hang_up(shell)

    def _answer(self, caller: socket.socket) -> bool:
        """Start what a caller asks for; return whether it has been dealt with."""
        try:
            request, descriptors, _, _ = socket.recv_fds(caller, _REQUEST, 1)
        except BlockingIOError:
            return False
        except OSError:
            request, descriptors = b"", []
        if not request or not descriptors:
            caller.close()
            return True
        (terminal,) = descriptors
        os.set_inheritable(terminal, False)
        try:
            self._running[self._spawn(terminal, json.loads(request)["command"])] = caller
        except (OSError, ValueError) as error:
            os.write(terminal, f"bash: {error}\r\n".encode())
            _close(caller, 126)
        os.close(terminal)
        return True

    def _spawn(self, terminal: int, command: str | None) -> int:
        return os.posix_spawnp(
            "bash",
            ["bash"] if command is None else ["bash", "-c", "--", command],
            self._environment,
            file_actions=[
                # Opened by the leader of a new session, so that it becomes the terminal that controls it
                (os.POSIX_SPAWN_OPEN, 0, f"/proc/self/fd/{terminal}", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )

    def _hang_up(self, shell: int) -> None:
        self._overdue.setdefault(shell, time.monotonic() + _HANGUP_GRACE)
        for number in (signal.SIGHUP, signal.SIGCONT):
            with contextlib.suppress(OSError):
                os.kill(shell, number)


def _open_door(directory: str) -> socket.socket | None:
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with door(directory) as address:
            listener.bind(address)
    except OSError:
        return None
    listener.listen(_BACKLOG)
    _signal_when_ready(listener)
    return listener


def _signal_when_ready(connection: socket.socket) -> None:
    connection.setblocking(False)
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)


def _is_at_end(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _close(connection: socket.socket, code: int) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        connection.send(str(code).encode())
    connection.close()
