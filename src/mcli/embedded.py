"""The platform on this machine: find it, or start it.

A client that has been told of no platform uses one that belongs to the user: a background process on the
loopback interface, all of whose state lives under one directory. The server holds a lock for as long as it
lives, so a platform is alive when its lock is held, and never because a process id looks familiar.

    <config dir>/platform/
      server.lock     held by the server
      platform.json   where it listens, and its key: written by the server when it does
      start.lock      held by whoever starts or stops the server, so that there is one
      server.log      what the server prints
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

#: Seconds a platform may take until it listens: a cold disk and a migration fit in.
START_TIMEOUT = 60.0

#: How many of the last lines of its log explain why a platform did not start.
_LOG_LINES = 15


class PlatformInfo(NamedTuple):
    """A running platform: where it listens, and the key that opens it."""

    endpoint: str
    mint_endpoint: str
    api_key: str
    home: str
    pid: int
    version: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, as `platform.json` has them."""
        return self._asdict()


def platform_home() -> Path:
    """Return the directory with all of the platform's state; it need not exist yet."""
    from mcli.config import config_dir

    return Path(config_dir()).absolute() / "platform"


def find() -> PlatformInfo | None:
    """Return the platform that runs on this machine, or None where none does."""
    home = platform_home()
    info = home / "platform.json"
    # In this order: a look at the lock takes it for a moment, and a server that starts must not meet that.
    if not info.exists() or not _is_locked(home / "server.lock"):
        return None
    try:
        return _parse(info.read_bytes())
    except FileNotFoundError:
        return None


def ensure_running() -> PlatformInfo:
    """Return the platform that runs on this machine, starting it if there is none.

    Clients that ask at the same moment get the same platform.

    Raises:
        MCLIException: it could not be started; the message has the end of its log.
    """
    found = find()
    if found is not None:
        return found
    home = platform_home()
    home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.mkdir(mode=0o700, exist_ok=True)
    with (home / "start.lock").open("ab") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return find() or _start(home)


def stop(timeout: float = 30.0) -> bool:
    """End the platform on this machine. Its runs go on, and it knows them again when it is next started.

    Args:
        timeout: seconds it has to end by itself; then it is killed, which loses nothing that was accepted.

    Returns:
        Whether there was a platform to end.
    """
    import signal

    home = platform_home()
    if not home.is_dir():
        return False
    with (home / "start.lock").open("ab") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        found = find()
        if found is None:
            return False
        try:
            process = os.pidfd_open(found.pid)
        except ProcessLookupError:
            return True
        try:
            # Asked again now that the process is held: until here its number might have become another's.
            if find() == found:
                signal.pidfd_send_signal(process, signal.SIGTERM)
                if not _readable(process, timeout):
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                    _readable(process, None)
        except ProcessLookupError:
            pass
        finally:
            os.close(process)
    return True


def _is_locked(path: Path) -> bool:
    """Return whether a process holds the lock on `path`."""
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _parse(text: bytes) -> PlatformInfo:
    said = json.loads(text)
    return PlatformInfo(**{name: said[name] for name in PlatformInfo._fields})


def _start(home: Path) -> PlatformInfo:
    """Start the server and return when it listens. The caller holds the start lock."""
    import subprocess
    import sys
    import threading

    (home / "platform.json").unlink(missing_ok=True)  # of a server that was killed
    log_path = home / "server.log"
    read_end, write_end = os.pipe()
    with (
        os.fdopen(read_end, "rb", buffering=0) as ready,
        os.fdopen(os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log,
    ):
        log_begin = os.fstat(log.fileno()).st_size
        command = [sys.executable, "-P", "-m", "mapi", "serve"]
        try:
            server = subprocess.Popen(
                [*command, "--home", str(home), "--ready-fd", str(write_end)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
                pass_fds=(write_end,),
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        # It outlives this client, or this client outlives it: then nothing of it may stay behind.
        threading.Thread(target=server.wait, name="mcli-platform", daemon=True).start()
        line = _first_line(ready, time.monotonic() + START_TIMEOUT)
    if line:
        return _parse(line)
    server.kill()  # where it has not ended, it hangs
    found = find()  # one that was started by hand at the same moment serves as well
    if found is None:
        raise _did_not_start(log_path, log_begin)
    return found


def _first_line(pipe: BinaryIO, deadline: float) -> bytes:
    """Return what the server says when it listens; nothing if it ended, or said nothing in time."""
    received = b""
    while not received.endswith(b"\n"):
        if not _readable(pipe.fileno(), max(deadline - time.monotonic(), 0)):
            return b""
        more = pipe.read(65536)
        if not more:
            return b""
        received += more
    return received


def _did_not_start(log_path: Path, begin: int) -> Exception:
    """Return what is known about a platform that did not start."""
    from mcli.api.exceptions import MCLIException

    with log_path.open("rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
    said = "\n".join(f"  {line}" for line in lines) or "  (it printed nothing)"
    return MCLIException(f"The platform on this machine did not start. From {log_path}:\n{said}")


def _readable(descriptor: int, timeout: float | None) -> bool:
    """Wait until there is something to read, or the process of a pidfd has ended; False when time is up."""
    import select

    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(None if timeout is None else timeout * 1000))
