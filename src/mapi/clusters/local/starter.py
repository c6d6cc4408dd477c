"""The platform's end of the launcher: hands it ranks to start, and starts another when it dies."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections import deque

from mapi.clusters.local import launcher

#: Bytes of requests under way. Small: each carries two descriptors, and those are counted.
_SEND_BUFFER = 8192
_FD = 3


class Starter:
    """A launcher process, and the requests it has yet to take.

    It remembers nothing of a request once that is sent: the pipe that `submit` returns ends if it got lost.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._replacement: asyncio.TimerHandle | None = None
        self._spawn()

    def submit(self, specification: bytes) -> int:
        """Have a rank started.

        Args:
            specification: what `launcher.run_rank` reads.

        Returns:
            A pipe to read, the caller's to close: a byte says that the command runs; its end, that the
            supervisor is done, or died, or never came to be.
        """
        watch, nudge = os.pipe()
        self._waiting.append((specification, nudge))
        self._flush()
        return watch

    async def close(self) -> None:
        """Let the launcher end: it first forks what it was sent."""
        while self._waiting:
            os.close(self._waiting.popleft()[1])
        if self._replacement is not None:
            self._replacement.cancel()
            return
        self._disconnect()
        ended = asyncio.Event()
        self._loop.add_reader(self._process, ended.set)
        await ended.wait()
        self._reap()

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-X", "utf8", "-I", "-S", launcher.__file__, str(_FD)],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), _FD),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, 0, 1),
                ],
                setsid=True,
            )
        self._socket = ours
        self._process = os.pidfd_open(self._pid)
        self._since = time.monotonic()
        self._loop.add_reader(self._process, self._died)

    def _died(self) -> None:
        """Start another at once; one that cannot live is not started in a tight loop."""
        self._disconnect()
        self._reap()
        short_lived = time.monotonic() - self._since < 0.1
        self._replacement = self._loop.call_later(0.1 if short_lived else 0.0, self._replace)

    def _replace(self) -> None:
        self._replacement = None
        self._spawn()
        self._flush()

    def _disconnect(self) -> None:
        self._loop.remove_writer(self._socket)
        self._socket.close()

    def _reap(self) -> None:
        self._loop.remove_reader(self._process)
        os.close(self._process)
        os.waitpid(self._pid, 0)

    def _flush(self) -> None:
        """Send what the socket takes; the rest when it takes more, or to the next launcher."""
        while self._waiting and self._socket.fileno() >= 0:
            specification, nudge = self._waiting[0]
            try:
                _send(self._socket, specification, nudge)
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._flush)
                return
            except ConnectionError:
                break
            except OSError:  # out of descriptors, here or under way: there will be some
                self._loop.remove_writer(self._socket)
                self._loop.call_later(0.1, self._flush)
                return
            self._waiting.popleft()
            os.close(nudge)
        if self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket)


def _send(to: socket.socket, specification: bytes, nudge: int) -> None:
    memory = os.memfd_create("rank", os.MFD_CLOEXEC)
    try:
        with open(memory, "wb", closefd=False) as file:
            file.write(specification)
        os.lseek(memory, 0, os.SEEK_SET)
        socket.send_fds(to, [b"+"], [memory, nudge])
    finally:
        os.close(memory)
