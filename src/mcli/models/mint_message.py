"""What the client of a shell sends: what was typed, and how large the terminal is.

    MINTMessage   oneof { 1: UserInput, 2: TerminalSize }
    UserInput     1: string
    TerminalSize  1: int32 width, 2: int32 height

Two messages of Protocol Buffers, written by hand: a dependency would be larger than what it reads. As there,
fields nobody knows are passed over, the last of several counts, and a field that is 0 need not be there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_INPUT, _SIZE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10


class UserInput(NamedTuple):
    """What was typed."""

    text: str


class TerminalSize(NamedTuple):
    """How large the terminal is, in characters."""

    columns: int = 80
    rows: int = 24


Message = UserInput | TerminalSize


def encode(message: Message) -> bytes:
    """Return a message as it is sent."""
    if isinstance(message, UserInput):
        return _field(_INPUT, _field(1, message.text.encode()) if message.text else b"")
    numbers = enumerate(message, 1)
    return _field(_SIZE, b"".join(_tag(field, _VARINT) + _varint(value) for field, value in numbers if value))


def decode(data: bytes) -> Message | None:
    """Return the message in `data`; None where it is of a kind that is not known here.

    Raises:
        ValueError: it is no message.
    """
    message: Message | None = None
    for field, value in _fields(data):
        if field == _INPUT:
            parts = [_bytes(inner) for number, inner in _fields(_bytes(value)) if number == 1]
            message = UserInput(parts[-1].decode() if parts else "")
        elif field == _SIZE:
            found = {number: _integer(inner) for number, inner in _fields(_bytes(value)) if number in (1, 2)}
            message = TerminalSize(found.get(1, 0), found.get(2, 0))
    return message


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(data):
        tag, place = _read_varint(data, place)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, place = _read_varint(data, place)
            yield field, value
            continue
        if kind == _BYTES:
            length, place = _read_varint(data, place)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"field {field} is of the unknown kind {kind}")
        if place + length > len(data):
            raise ValueError(f"field {field} has {length} bytes, but only {len(data) - place} came")
        yield field, data[place : place + length]
        place += length


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(data[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("a number has no end")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError(f"a number, {value}, stands where text or a message belongs")
    return value


def _integer(value: int | bytes) -> int:
    """Return an int32: negative ones are sent as if they had 64 bits."""
    if isinstance(value, bytes):
        raise ValueError("text or a message stands where a number belongs")
    low = value & 0xFFFFFFFF
    return low - (1 << 32) if low >= 1 << 31 else low


def _field(field: int, content: bytes) -> bytes:
    return _tag(field, _BYTES) + _varint(len(content)) + content


def _tag(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _varint(value: int) -> bytes:
    rest = value & 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
