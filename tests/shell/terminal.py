"""A person at a terminal, in as many lines as it takes to see what is sent and what comes."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mcli import Run, RunConfig, create_run, wait_for_run_status
from mcli.embedded import PlatformInfo
from mcli.models.mint_message import TerminalSize, UserInput, encode

#: Seconds for anything to appear.
PATIENCE = 20.0


def running(command: str = "sleep 1000", **fields: object) -> Run:
    """A run that is running."""
    run = create_run(RunConfig(name="shells", image="bash", command=command, **fields))  # type: ignore[arg-type]
    return wait_for_run_status(run, "RUNNING", timeout=20)


class Connection:
    """One connection to a shell. `plain`: as the first clients, in text."""

    def __init__(
        self,
        platform: PlatformInfo,
        run: Run | str,
        *,
        rank: int | str = 0,
        command: str | None = None,
        size: TerminalSize | None = TerminalSize(80, 24),  # noqa: B008 - a constant
        key: str | None = None,
        plain: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        sent = {"Authorization": platform.api_key if key is None else key, **(headers or {})}
        if command is not None:
            sent["Commands"] = json.dumps([command])
        name = run if isinstance(run, str) else run.name
        url = f"{platform.mint_endpoint}/{name}/{rank}"
        opening = connect(
            url, additional_headers=sent, compression=None, max_queue=4, close_timeout=0.2, proxy=None
        )
        self.socket = ExitStack().enter_context(opening)
        self.seen = ""
        self.frames: list[bytes | str] = []
        self.plain = plain
        if size and not plain:
            self.resize(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def type(self, text: str) -> None:
        self.socket.send(text if self.plain else encode(UserInput(text)))

    def resize(self, size: TerminalSize) -> None:
        self.socket.send(encode(size))

    def receive(self, timeout: float = PATIENCE) -> None:
        """Take one frame."""
        frame = self.socket.recv(timeout=timeout)
        self.frames.append(frame)
        whole = b"".join(part if isinstance(part, bytes) else part.encode() for part in self.frames)
        self.seen = whole.decode(errors="replace")

    def until(self, text: str) -> str:
        """Wait until the terminal shows a text; return all it has shown."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            try:
                self.receive(max(deadline - time.monotonic(), 0.001))
            except (TimeoutError, ConnectionClosed) as error:
                raise AssertionError(f"no {text!r}, but {self.seen!r} ({error!r})") from None
        return self.seen

    def closed(self) -> tuple[int, str]:
        """Read to the end; return the code and the reason of the close."""
        try:
            while True:
                self.receive()
        except ConnectionClosed as error:
            assert error.rcvd is not None, "the connection was lost"
            return error.rcvd.code, error.rcvd.reason
