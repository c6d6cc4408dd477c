"""The two ways in which a client and a shell put characters into WebSocket frames.

              client to shell                        shell to client
    MINT      binary: what was typed, or the size    binary: the bytes of the terminal, cut anywhere
    PLAIN     text: what was typed                   text, and no character is ever cut

PLAIN is what the first clients speak, and nothing they say before a person types tells them apart: no
header, no sub-protocol. So the first frame decides, by its kind. Before it comes,

- whoever names a command speaks MINT: with PLAIN there is no way to name one;
- whoever says nothing for a moment speaks PLAIN: clients of MINT on a terminal begin with its size.

Measured with published clients: 0.3.0 and 0.5.34, 0.6.42, 0.8.3 without a command send the same headers; the
latter three send the size within milliseconds, and only where there is a terminal.

Pure: messages of ASGI in and out.
"""

from __future__ import annotations

import codecs
from typing import Protocol

from starlette.types import Message

from mcli.models import mint_message
from mcli.models.mint_message import TerminalSize, UserInput

#: Seconds in which the size of a terminal is expected: where there is a command, only so that this sees
#: the right size from its start; else so that it is known what the client speaks.
MOMENT_WITH_COMMAND = 0.05
MOMENT = 2.0


class Framing(Protocol):
    """One of the two ways, on one connection."""

    def frame(self, data: bytes) -> Message | None:
        """Return the frame for what a shell printed; None where there is not a whole character yet."""


class Mint:
    """Bytes as they are."""

    def frame(self, data: bytes) -> Message | None:
        """Return them in a binary frame."""
        return {"type": "websocket.send", "bytes": data}


class Plain:
    """Text; bytes that are none become replacement characters."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def frame(self, data: bytes) -> Message | None:
        """Return the whole characters in a text frame; what is left comes with the next."""
        text = self._decoder.decode(data)
        return {"type": "websocket.send", "text": text} if text else None


def choose(first: Message | None) -> Framing:
    """Return the framing of a client whose first message is `first`.

    Args:
        first: as ASGI has it; None where nothing has come in its moment.
    """
    return Plain() if first is None or first.get("text") is not None else Mint()


def read(message: Message) -> UserInput | TerminalSize | None:
    """Return what a frame says; None where it says nothing.

    Raises:
        ValueError: if it says nothing that can be understood.
    """
    text, data = message.get("text"), message.get("bytes")
    if text is not None:
        return UserInput(text)
    return None if data is None else mint_message.decode(data)
