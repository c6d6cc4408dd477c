"""The bytes of a log made text, by line or as they come; bytes that are not UTF-8 are replaced."""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterable


def lines_of(chunks: Iterable[bytes]) -> Generator[str]:
    """Yield the lines of a log.

    Taken apart as bytes, so that no character is: none contains a newline byte.
    """
    begun: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun).decode(errors="replace")
            begun = [other]
    rest = b"".join(begun)
    if rest:
        yield rest.decode(errors="replace")


def text_of_bytes(chunks: Iterable[bytes]) -> Generator[str]:
    """Yield a log as text as it comes; a character that is cut in two comes with its second half."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for chunk in chunks:
        yield decoder.decode(chunk)
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest
