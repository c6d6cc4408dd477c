"""A program of its own: it starts a container's command in namespaces of its own, or joins it there.

`container.py start SPEC STATUS` has the command as process 1 of a new process namespace, as a container
runtime does: it gets no signals that it does not handle, and everything it started ends with it. Where the
pod shares its processes, another is number 1, and only the second holds. The file
system is this machine's, with the volumes shown at their paths. `container.py join SPEC STATUS` runs a
command beside it, for `exec`.

Says on the descriptor STATUS `process PID` or `failed: WHY`; exits with the code of the command, 128 + n for
signal n.
"""
# ruff: noqa: PTH115

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import termios
from typing import Any

_STATUS = int(sys.argv[3])
_NEWNS, _NEWUTS, _NEWUSER, _NEWPID = 0x00020000, 0x04000000, 0x10000000, 0x20000000
_REMOUNT_READ_ONLY = 1 | 32 | 4096
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def start(spec: dict[str, Any]) -> int:
    mounts = _mounts(spec)
    mounts.isolate()
    machine = os.open("/proc", os.O_PATH)
    _check(_LIBC.unshare(_NEWPID | _NEWUTS), "unshare")
    forked, forks = os.pipe()
    first = os.fork()
    if first == 0:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with _failure_told():
            socket.sethostname(spec["hostname"])
            mounts._mount("proc", "/proc", "proc", 0)
            mounts.show(spec["mounts"], spec["scratch"])
            for target in spec["read_only"]:
                mounts._mount(None, target, None, _REMOUNT_READ_ONLY)
            mounts._mount(spec["hosts"], "/etc/hosts", None, 4096)
            if spec["shared"]:
                _hold(spec, forks)
            _execute(spec)
    os.close(forks)
    if not spec["shared"]:
        return _supervise(first, first)
    os.read(forked, 1)
    children = os.open(f"{first}/task/{first}/children", os.O_RDONLY, dir_fd=machine)
    return _supervise(first, int(os.read(children, 64) or first))


def _hold(spec: dict[str, Any], forks: int) -> None:
    """Be process 1 for as long as the command runs, as the first container of every pod is."""
    command = os.fork()
    if command == 0:
        return
    os.write(forks, b"x")
    for descriptor in (_STATUS, 0, 1, 2):
        os.close(descriptor)
    while True:
        ended, status = os.wait()
        if ended == command:
            os._exit(_code(status))


def join(spec: dict[str, Any]) -> int:
    process = spec["process"]
    handle = os.pidfd_open(process)
    root = os.open(f"/proc/{process}/root", os.O_PATH)
    same_user = os.readlink(f"/proc/{process}/ns/user") == os.readlink("/proc/self/ns/user")
    _check(_LIBC.setns(handle, _NEWNS | _NEWUTS | _NEWPID | (0 if same_user else _NEWUSER)), "setns")
    os.fchdir(root)
    os.chroot(".")
    child = os.fork()
    if child == 0:
        with _failure_told():
            _execute(spec)
    return _supervise(child, child)


def _execute(spec: dict[str, Any]) -> None:
    os.chdir(spec["directory"])
    os.setsid()
    if spec.get("terminal"):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    os.set_inheritable(_STATUS, False)  # closed when the command runs: nothing more will be told
    program = spec["command"][0]
    try:
        os.execvpe(program, spec["command"], spec["env"])
    except FileNotFoundError:
        missing = "executable file not found in $PATH" if "/" not in program else "no such file or directory"
        raise OSError(f'exec: "{program}": {missing}') from None


def _supervise(child: int, command: int) -> int:
    os.write(_STATUS, f"process {command}\n".encode())
    os.close(_STATUS)
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    return _code(os.waitpid(child, 0)[1])


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


class _failure_told:
    """Whatever goes wrong before the command runs is told on the status descriptor."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        os.write(_STATUS, f"failed: {error}\n".encode())
        os._exit(128)


def _mounts(spec: dict[str, Any]) -> Any:
    sys.path.insert(0, spec["library"])
    import mounts  # type: ignore[import-not-found]

    return mounts


def _check(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:  # noqa: PTH123
        specification = json.load(file)
    os._exit({"start": start, "join": join}[sys.argv[1]](specification))
