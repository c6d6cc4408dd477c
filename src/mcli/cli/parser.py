"""The parser of a command's arguments: a mistyped flag or word gets a suggestion."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

_UNKNOWN_FLAG = re.compile(r"unrecognized arguments:.*?(--?[\w-]+)")
_UNKNOWN_WORD = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that says what a mistyped flag or word was probably meant to be."""

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse a command's arguments; flags may stand anywhere among them."""
        try:
            return self.parse_intermixed_args(arguments)
        except TypeError:  # it has words that are commands of their own
            return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        """Explain, and exit with code 2."""
        super().error(message + self._suggestion(message))

    def _suggestion(self, message: str) -> str:
        from mcli.models.naming import suggestion

        flag = _UNKNOWN_FLAG.match(message)
        if flag:
            return suggestion(flag[1], _flags(self))
        word = _UNKNOWN_WORD.search(message)
        return suggestion(word[1], re.findall(r"[\w-]+", word[2])) if word else ""


def _flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield every flag of a parser and of what it parses with."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for other in dict.fromkeys(action.choices.values()):
                yield from _flags(other)
        yield from (flag for flag in action.option_strings if flag.startswith("--"))
