"""What a look at a cluster brings to light: the same for every kind."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    `works`: None where it is neither good nor bad. `needed`: without it runs cannot be executed.
    """

    what: str
    works: bool | None
    detail: str
    needed: bool = True

    @property
    def is_fatal(self) -> bool:
        """Whether runs cannot be executed because of it."""
        return self.works is False and self.needed
