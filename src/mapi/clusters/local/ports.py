"""Rendezvous ports of executions."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from mapi.clusters.local.devices import DevicesTaken

#: Below those the system gives to outgoing connections.
PORTS = range(20_000, 32_000)


class Ports:
    """Goes round the ports, so that the one handed out has been unused for longest."""

    def __init__(self) -> None:
        self._next = random.randrange(len(PORTS))

    def pick(self, taken: Collection[int]) -> int:
        """Return a port that nothing listens on.

        Args:
            taken: ports that something will listen on.

        Raises:
            DevicesTaken: there is none.
        """
        for _ in PORTS:
            port = PORTS[self._next]
            self._next = (self._next + 1) % len(PORTS)
            if port not in taken and _is_free(port):
                return port
        raise DevicesTaken(f"no free port between {PORTS.start} and {PORTS.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
