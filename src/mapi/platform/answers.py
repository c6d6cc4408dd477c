"""Which submissions were answered, so that a server that died before it could answer makes up for it.

A published client whose connection breaks sends its request again, without a mark to know it by. If the run
was written but never answered, the second request gets that run instead of another one: a run that nobody
was told of belongs to the first who asks for the same again.

What is answered is noted in a file, one id a line, without waiting for the disk: the file outlives the
process, which is what this is about. (After a power cut the last lines can be missing; then an identical
submission soon after the start is taken for a repetition.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mapi.domain.run import Json, Run, now_ms

#: How long before and after a start a submission may be the repetition of one that was not answered. The
#: published clients try ten times, at most a minute apart.
ADOPTION_MS = 10 * 60 * 1000

#: Lines after which a new file is begun; that is more than are answered in the time that matters.
_LINES = 200_000


class Answers:
    """The submissions that were answered, and those that were not.

    Args:
        path: the file; the one before it is kept beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = path.with_name(f"{path.name}.before")
        self._file: int | None = None
        self._lines = 0
        self._unanswered: list[Run] = []
        self._adoptable_until = 0

    def open(self, recent: Iterable[Run]) -> None:
        """Find out which of the recent submissions were not answered.

        Args:
            recent: the runs of the last `ADOPTION_MS` that were made without an idempotency key.
        """
        noted = {line for path in (self._before, self._path) if path.exists() for line in _lines(path)}
        self._unanswered = [run for run in recent if run.id not in noted]
        self._adoptable_until = now_ms() + ADOPTION_MS
        self._begin_file()

    def note(self, run_id: str) -> None:
        """Note that a submission is about to be answered."""
        if self._file is None:
            return
        os.write(self._file, f"{run_id}\n".encode())
        self._lines += 1
        if self._lines >= _LINES:
            self._path.replace(self._before)
            self._begin_file()

    def adopt(self, owner_id: str, run_type: str, submitted: Mapping[str, Json]) -> Run | None:
        """Return the run that was made of the same submission and not answered, once."""
        if self._unanswered and now_ms() > self._adoptable_until:
            self._unanswered = []
        for run in self._unanswered:
            if (run.owner_id, run.spec.run_type, run.submitted) == (owner_id, run_type, submitted):
                self._unanswered.remove(run)
                return run
        return None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _begin_file(self) -> None:
        self.close()
        self._lines = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").split()
