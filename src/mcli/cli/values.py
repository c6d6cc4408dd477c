"""What is written on a command line, made into values; what makes no sense is a usage error that names it."""

from __future__ import annotations

import argparse
import datetime as dt
import difflib
import re

from mcli.models.run_status import RunStatus

#: Units of a length of time, in seconds.
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_LENGTH = re.compile(rf"(?:{_PART.pattern})+")


def words(text: str) -> list[str]:
    """Return the parts of `a,b,c`."""
    return [word for word in (part.strip() for part in text.split(",")) if word]


def numbers(text: str) -> list[int]:
    """Return the whole numbers of `1,8`."""
    try:
        return [int(word) for word in words(text)]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers, such as 1,8") from None


def count(text: str) -> int:
    """Return a number from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return int(text)


def limit(text: str) -> int | None:
    """Return a number from 1 up; None for `none`."""
    if text.lower() == "none":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up, nor `none`")
    return int(text)


def statuses(text: str) -> list[RunStatus]:
    """Return the statuses of `running,queued`."""
    return [_status(word) for word in words(text)]


def moment(text: str) -> dt.datetime:
    """Return a moment that is written as one, or as how long ago it was: `10m`, `2h30m`."""
    if _LENGTH.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        return dt.datetime.now().astimezone() - dt.timedelta(seconds=seconds)
    try:
        return dt.datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: write 2026-01-31 or 2026-01-31T18:30, local or with an offset, "
            "or how long ago it was: 10m, 2h30m, 1d"
        ) from None


def pattern(text: str) -> re.Pattern[str]:
    """Return a regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None


def _status(word: str) -> RunStatus:
    status = RunStatus.from_string(word)
    if status is RunStatus.UNKNOWN:
        known = [status.value.lower() for status in RunStatus if status is not RunStatus.UNKNOWN]
        close = difflib.get_close_matches(word.lower(), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(known)
        raise argparse.ArgumentTypeError(f"{word!r} is not a status: {hint}")
    return status
