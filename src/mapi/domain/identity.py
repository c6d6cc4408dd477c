"""Names and ids that are unique, and ids that sort by time."""

from __future__ import annotations

import secrets
import string

_SUFFIX = string.ascii_lowercase + string.digits


def unique_name(name: str) -> str:
    """Return what the user wrote, `-`, and six characters that make it unique."""
    return f"{name}-{''.join(secrets.choice(_SUFFIX) for _ in range(6))}"


class IdSource:
    """Time-ordered uuids (version 7, RFC 9562), strictly increasing within one process.

    The millisecond is in the first 48 bits, a counter in the next 12, so that ids made in one
    millisecond sort in the order they were made, and a clock set back never makes an older id.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self, at: int) -> tuple[str, int]:
        """Return an id, and the millisecond it stands for: `at`, or a little later if that is taken."""
        self._last = max(self._last + 1, at << 12)
        return _uuid(self._last, secrets.randbits(62)), self._last >> 12


def first_id(at: int) -> str:
    """The smallest id of a millisecond: runs created before `at` have smaller ids."""
    return _uuid(at << 12, 0)


def _uuid(ticks: int, random: int) -> str:
    millis, counter = ticks >> 12, ticks & 0xFFF
    text = f"{(millis << 80) | (7 << 76) | (counter << 64) | (2 << 62) | random:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
