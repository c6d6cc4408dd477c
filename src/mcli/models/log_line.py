"""A line of a log, with the time it was written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcli.models.timestamp import Timestamp

_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?(.*)", re.DOTALL)


@dataclass(frozen=True)
class LogLine:
    """A line of a log.

    Attributes:
        timestamp: when it was written; None if the line does not say.
        text: the line as the run wrote it, without the newline.
    """

    timestamp: Timestamp | None
    text: str

    @classmethod
    def from_line(cls, line: str) -> LogLine:
        """Take apart a line fetched with `timestamps=True`; any other line is all text."""
        line = line.removesuffix("\n")
        stamped = _STAMPED.match(line)
        if stamped is None:
            return cls(None, line)
        try:
            return cls(Timestamp.parse(stamped[1]), stamped[2])
        except ValueError:
            return cls(None, line)
