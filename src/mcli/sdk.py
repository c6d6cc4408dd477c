"""The names of `mcli`, at the import path of the first versions of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mcli

if TYPE_CHECKING:
    from mcli import *  # noqa: F403 - the same names, by their __all__

__all__ = mcli.__all__


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(mcli, name)
