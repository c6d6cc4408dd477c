"""The kernel's word that a file has grown, through the C library: no polling, no dependency."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_IN_MODIFY = 0x2
_IN_Q_OVERFLOW = 0x4000
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_READ_SIZE = 64 * 1024
_STATFS_SIZE = 256  # more than any platform's struct statfs

#: File systems (statfs magic) another machine can write to without this kernel's knowledge.
NETWORK_FILE_SYSTEMS = {
    0x0000517B: "smb",
    0x00006969: "nfs",
    0x00C36400: "ceph",
    0x01021997: "9p",
    0x01161970: "gfs2",
    0x0BD00BD0: "lustre",
    0x19830326: "beegfs",
    0x47504653: "gpfs",
    0x5346414F: "afs",
    0x65735546: "fuse",
    0x7461636F: "ocfs2",
    0xFE534D42: "smb2",
    0xFF534D42: "cifs",
}

_libc = ctypes.CDLL(None, use_errno=True)


def network_file_system(path: Path) -> str | None:
    """Return the kind of network file system `path` lies on; None where it is local.

    Raises:
        OSError: `path` does not exist.
    """
    buffer = ctypes.create_string_buffer(_STATFS_SIZE)
    if _libc.statfs(os.fsencode(path), buffer) < 0:
        raise _error(path)
    magic = ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF
    return NETWORK_FILE_SYSTEMS.get(magic)


class Inotify:
    """A set of watched files behind one descriptor, which is readable when one of them was written to."""

    def __init__(self) -> None:
        self._fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _error()

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._fd

    def watch(self, path: Path) -> int:
        """Watch a file for writes and return the number its events carry.

        Raises:
            OSError: the file does not exist, or the kernel's limit of watches is reached (ENOSPC).
        """
        number: int = _libc.inotify_add_watch(self._fd, os.fsencode(path), _IN_MODIFY)
        if number < 0:
            raise _error(path)
        return number

    def unwatch(self, number: int) -> None:
        """Stop watching. A file deleted meanwhile is no longer watched anyway."""
        _libc.inotify_rm_watch(self._fd, number)

    def read(self) -> Iterator[int | None]:
        """Yield the numbers of the files written to; None when events were lost, so any may have been."""
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return
        start = 0
        while start < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, start)
            start += _EVENT.size + length
            if mask & _IN_Q_OVERFLOW:
                yield None
            elif mask & _IN_MODIFY:
                yield number

    def close(self) -> None:
        """Stop watching everything."""
        os.close(self._fd)


def _error(path: Path | None = None) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path and str(path))
