"""From a rank's output to its log file, through a pipe that the kernel empties.

With the file itself as standard output, a program that reopens it (`echo … > /dev/stderr`) would cut off
all that was written before. Imports small modules only: every supervisor is a copy of what loads this.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time

#: Room of the pipe between a command and its log, in bytes: a writer goes on while the file catches up.
PIPE_SIZE = 1 << 20

#: Seconds between two looks at a disk that was full.
_PATIENCE = 0.2

_FULL = (errno.ENOSPC, errno.EDQUOT)


def pipe() -> tuple[int, int]:
    """Return the two ends of a pipe: where it is read, and where it is written."""
    output, written = os.pipe()
    with contextlib.suppress(OSError):  # more than the system grants this user
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return output, written


def start_draining(output: int, log: int) -> threading.Thread:
    """Begin to move what is written to a pipe to the end of a file; the thread ends when nobody can write."""
    os.lseek(log, 0, os.SEEK_END)
    thread = threading.Thread(target=drain, args=(output, log), daemon=True)
    thread.start()
    return thread


def drain(output: int, log: int) -> None:
    """Move until the pipe ends. A full disk stops the writers, and is tried again until it has room."""
    while True:
        try:
            moved = os.splice(output, log, PIPE_SIZE)
        except OSError as error:
            if error.errno in _FULL:
                time.sleep(_PATIENCE)
                continue
            if error.errno != errno.EINVAL:
                raise
            moved = _copy(output, log)  # a file system that cannot splice
        if not moved:
            return


def _copy(output: int, log: int) -> int:
    data = memoryview(os.read(output, PIPE_SIZE))
    moved = len(data)
    while data:
        try:
            data = data[os.write(log, data) :]
        except OSError as error:
            if error.errno not in _FULL:
                raise
            time.sleep(_PATIENCE)
    return moved
