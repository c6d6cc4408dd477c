"""The names of priorities: every one a published client has sent, and what it is worth."""

from __future__ import annotations

from difflib import get_close_matches

from mapi.domain.errors import BadRequest

#: Higher goes first. Clients of different ages have different names for the middle.
PRIORITIES = {
    "highest": 2,
    "high": 1,
    "medium": 0,
    "standard": 0,
    "default": 0,
    "auto": 0,
    "low": -1,
    "lowest": -2,
}


def parse_priority(text: str) -> str:
    """Return the canonical name of a priority: a key of `PRIORITIES`. Case does not matter.

    Raises:
        BadRequest: there is no such priority.
    """
    name = text.strip().lower()
    if name in PRIORITIES:
        return name
    close = get_close_matches(name, PRIORITIES, n=1)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    raise BadRequest(f'priority "{text}": must be one of {", ".join(PRIORITIES)}{hint}')
