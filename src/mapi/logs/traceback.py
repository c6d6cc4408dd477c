"""The first exception in a log: what Python wrote about it, from its first frame to its message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mapi.logs.chunks import Chunk

_MARK = b"Traceback (most recent call last):"

#: What joins the tracebacks of one chain, each between blank lines.
_CHAINED = (
    b"During handling of the above exception, another exception occurred:",
    b"The above exception was the direct cause of the following exception:",
)

#: The longest line that is looked at in one piece, and the longest exception.
_LONGEST_LINE = 64 * 1024
_LONGEST = 256 * 1024


def first_traceback(chunks: Iterable[Chunk]) -> Chunk | None:
    """Return the first traceback in a log, with those chained to it; None if there is none.

    A traceback is the line that announces it, the indented lines below, and the line after these, which
    names the exception. What stands before the announcement on its line (a rank's mark, `[rank0]: `) stands
    before the others too.

    Args:
        chunks: the log, from its beginning.
    """
    lines = _lines(chunks)
    for line, end in lines:
        prefix, mark, _ = line.partition(_MARK)
        if mark:
            return _rest_of(prefix, line, end, lines)
    return None


def _rest_of(prefix: bytes, line: bytes, end: int, lines: Iterator[tuple[bytes, int]]) -> Chunk:
    found = [line]  # up to `end`
    between: list[bytes] = []  # after an exception, while it may go on to the next of its chain
    named = False
    for next_line, line_end in lines:
        text = next_line.removeprefix(prefix)
        if named:
            if text.strip() and text.strip() not in _CHAINED and not text.startswith(_MARK):
                break
            between.append(next_line)
            if not text.startswith(_MARK):
                continue
            found += between
            between = []
            named = False
        else:
            found.append(next_line)
            named = not text.startswith((b" ", b"\t")) and bool(text.strip())
        end = line_end
        if sum(map(len, found)) > _LONGEST:
            break
    return Chunk(b"".join(found), end)


def _lines(chunks: Iterable[Chunk]) -> Iterator[tuple[bytes, int]]:
    """Yield each line with its end, and the byte of the log it ends before."""
    rest, end = b"", 0
    for chunk in chunks:
        data = rest + chunk.data
        end = chunk.end_offset - len(data)
        *whole, rest = data.split(b"\n")
        for line in whole:
            end += len(line) + 1
            yield line + b"\n", end
        if len(rest) > _LONGEST_LINE:
            end += len(rest)
            yield rest, end
            rest = b""
    if rest:
        yield rest, end + len(rest)
