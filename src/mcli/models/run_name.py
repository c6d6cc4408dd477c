"""What a run may be called: a DNS label with room for what makes it unique."""

from __future__ import annotations

import re

#: Room for "-" and six characters within the 63 of a DNS label.
MAX_NAME = 63 - 6 - 1

_LEGAL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")

RULE = f"lower-case letters, digits and '-', a letter or digit first and last, at most {MAX_NAME} characters"


def is_legal(name: str) -> bool:
    """Return whether a run may be called so."""
    return len(name) <= MAX_NAME and _LEGAL.fullmatch(name) is not None


def legal_name(name: str) -> str:
    """Return the nearest name that a run may have."""
    text = re.sub(r"[^a-z0-9-]", "-", name.lower()).strip("-")[:MAX_NAME].strip("-")
    return text or "run"
