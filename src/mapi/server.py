"""The server process: one home directory, one lock on it, one port, one event loop."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import gc
import getpass
import json
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import uvicorn

from mapi.clusters.base import Cluster
from mapi.config import ClusterSettings, Config, KubernetesCluster, LocalCluster, explained
from mapi.domain.access import Endpoints
from mapi.logs import LogStore
from mapi.metrics import Metrics
from mapi.platform import Platform
from mapi.platform.accounts import new_key
from mapi.platform.answers import Answers
from mapi.platform.keyring import Keyring, new_key_text
from mapi.store import Store
from mapi.web.app import create_app
from mcli.version import __version__

log = logging.getLogger("mapi")

#: Files of the home directory that others read: see `mcli.embedded`.
LOCK = "server.lock"
INFO = "platform.json"
API_KEY = "api_key"
KEYRING = "secret_key"
PORT = "port"

#: Keys of secrets and tokens, for those who keep them elsewhere than in the home directory.
SECRET_KEY = "MAPI_SECRET_KEY"
#: Which submissions were answered: see `mapi.platform.answers`.
ANSWERED = "answered"

#: The module and the class of each kind of cluster, by its settings.
_KINDS: dict[type, tuple[str, str]] = {
    LocalCluster: ("mapi.clusters.local.cluster", "LocalCluster"),
    KubernetesCluster: ("mapi.clusters.kubernetes.cluster", "KubernetesCluster"),
}

_LOCK_TRIES = 20

#: How often it is seen to that the home is still there, in ticks of uvicorn, which are tenths of a second.
_HOME_TICKS = 20

#: Seconds that open connections get when the server is asked to end.
_GOODBYE = 2


class ServerError(Exception):
    """The server cannot start; the message says why."""


def serve(config: Config, *, ready_fd: int | None = None) -> None:
    """Run the platform until SIGTERM or SIGINT.

    Args:
        config: what to run with.
        ready_fd: a file descriptor that gets the content of `platform.json`, as one line, when requests
            are answered.

    Raises:
        ServerError: if the home is in use, or the address is.
        ConfigError: a cluster cannot be made of its settings.
    """
    home = config.home_path
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    _raise_descriptor_limit()
    lock = _hold(home / LOCK)
    try:
        listener = _listen(config, home / PORT)
        _log_to_stderr(config.log_level)
        asyncio.run(_serve(config, home, lock, listener, ready_fd))
    finally:
        if _holds(lock, home / LOCK):
            (home / INFO).unlink(missing_ok=True)
        os.close(lock)


def _raise_descriptor_limit() -> None:
    """Every live rank, follower and connection is a descriptor: take all the system grants."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("uvicorn", "alembic", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


async def _serve(
    config: Config, home: Path, lock: int, listener: socket.socket, ready_fd: int | None
) -> None:
    logs = LogStore(home / "logs")
    store = await Store.open(config.database_url)
    clusters = [
        _cluster(name, home / "clusters" / name, settings, logs) for name, settings in config.clusters.items()
    ]
    endpoints = _endpoints(config, listener)
    platform = Platform(
        store,
        clusters,
        logs,
        Metrics(),
        Answers(home / ANSWERED),
        keyring=_keyring(home / KEYRING),
        endpoints=endpoints,
        grace_seconds=config.grace_seconds,
    )
    await platform.open()
    try:
        key = await _owner_key(platform, home / API_KEY)
        info = _info(config, endpoints, key)
        application = create_app(platform)
        server = _Server(
            uvicorn.Config(
                application,
                http="httptools",
                ws="websockets-sansio",
                lifespan="off",
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=_GOODBYE,
            ),
            when_ready=lambda: _announce(home / INFO, info, ready_fd),
            before_shutdown=application.state.shells.close,
            has_home=lambda: _holds(lock, home / LOCK),
        )
        gc.collect()
        gc.freeze()  # what start-up made lives as long as the process
        await server.serve(sockets=[listener])
    finally:
        await platform.close()


def _cluster(name: str, home: Path, settings: ClusterSettings, logs: LogStore) -> Cluster:
    """Make a cluster of the kind that its settings are of; only what is configured is imported."""
    module, kind = _KINDS[type(settings)]
    with explained(name, settings):
        made: Cluster = getattr(import_module(module), kind)(name, home, settings, logs)
    return made


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it answers, and when it is about to end its connections."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        when_ready: Callable[[], None],
        before_shutdown: Callable[[], Awaitable[None]],
        has_home: Callable[[], bool],
    ) -> None:
        super().__init__(config)
        self._when_ready = when_ready
        self._before_shutdown = before_shutdown
        self._has_home = has_home

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End gracefully when asked to, and return: uvicorn would die of the signal instead."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        yield

    def _end(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._when_ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % _HOME_TICKS == 0 and not self._has_home():
            log.error("its home was removed, or is another server's now: it ends")
            return True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._before_shutdown()
        await super().shutdown(sockets)


def _hold(path: Path) -> int:
    """Take the lock that says a server owns this home; it is held until the process ends.

    A client that looks whether a server is there holds the lock for an instant, hence more than one try.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return lock
    os.close(lock)
    raise ServerError(f"a platform is running in {path.parent} already")


def _holds(lock: int, path: Path) -> bool:
    """Whether a lock is still that of the home: it is not if the home was removed."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def _listen(config: Config, remembered: Path) -> socket.socket:
    """Bind the configured port; where none is configured, the one of last time, or any that is free."""
    ports = [config.port]
    if config.port == 0 and remembered.exists():
        ports.insert(0, int(remembered.read_text() or 0))
    for port in ports:
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        # The protocol has to be named: asyncio sends small answers at once (TCP_NODELAY) only then
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, port))
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE and port != ports[-1]:
                continue
            raise ServerError(f"cannot listen on {config.host}:{port}: {error.strerror}") from None
        remembered.write_text(str(listener.getsockname()[1]))
        return listener
    raise AssertionError("there is always a port to try")


async def _owner_key(platform: Platform, path: Path) -> str:
    """The key of the platform's owner, made when the platform is; only the owner can read it."""
    if path.exists():
        key = path.read_text().strip()
    else:
        key = new_key()
        _write_private(path, key)
    user = getpass.getuser()
    await platform.accounts.ensure_owner(user, f"{user}@{socket.gethostname()}", key)
    return key


def _keyring(path: Path) -> Keyring:
    """The keys of secrets and tokens: from the environment, or from a file, made when there is none."""
    given = os.environ.get(SECRET_KEY)
    if given:
        return Keyring.parse(given, SECRET_KEY)
    if not path.exists():
        _write_private(path, new_key_text() + "\n")
    return Keyring.parse(path.read_text(), str(path))


def _endpoints(config: Config, listener: socket.socket) -> Endpoints:
    port = listener.getsockname()[1]
    host = f"[{config.host}]" if ":" in config.host else config.host
    return Endpoints.at(config.public_url or f"http://{host}:{port}")


def _info(config: Config, endpoints: Endpoints, key: str) -> dict[str, str | int]:
    return {
        "endpoint": endpoints.api,
        "mint_endpoint": endpoints.mint,
        "api_key": key,
        "home": str(config.home_path),
        "pid": os.getpid(),
        "version": __version__,
    }


def _announce(path: Path, info: dict[str, str | int], ready_fd: int | None) -> None:
    text = json.dumps(info)
    _write_private(path, text)
    log.info("mapi %s answers at %s; its state is in %s", __version__, info["endpoint"], info["home"])
    if ready_fd is not None:
        with suppress(BrokenPipeError):  # who started this has gone; the platform is there for the next
            os.write(ready_fd, text.encode() + b"\n")
        os.close(ready_fd)


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
