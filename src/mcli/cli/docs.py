"""`docs/cli.md`, made from the program itself: `python -m mcli.cli.docs > docs/cli.md`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module

from mcli.cli.main import ALIASES, COMMANDS, command_parser

_HEAD = """\
# The command line

Made from the program: `python -m mcli.cli.docs > docs/cli.md`. `mcli COMMAND --help` says the same.

`mcli -v COMMAND …` shows where an error came from. What a program may read is on stdout, what is said to a
person on stderr. The exit code is 0 when it is done, 1 after an error that was explained, 2 for a command
line that makes no sense.
"""


def document() -> str:
    """Return the page."""
    parts = [_HEAD]
    for name, (module_name, help_line) in COMMANDS.items():
        module = import_module(f"mcli.cli.{module_name}")
        others = [alias for alias, command in ALIASES.items() if command == name]
        also = f" Also: {', '.join(f'`{alias}`' for alias in others)}." if others else ""
        parts += [
            f"\n## mcli {name}\n",
            f"\n{help_line[0].upper()}{help_line[1:]}.{also}\n",
            f"\n```text\n{module.EXAMPLES}```\n",
            *_arguments(command_parser(name, module)),
        ]
    return "".join(parts)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the table of a parser's arguments, then those of what it parses with."""
    rows = [_row(action) for action in parser._actions if _is_argument(action)]
    if rows:
        yield "\n| argument | |\n|---|---|\n" + "".join(rows)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help for choice in action._choices_actions}
            for name, other in {
                id(each): (key, each) for key, each in reversed(action.choices.items())
            }.values():
                yield f"\n### {parser.prog} {name}\n"
                if helps.get(name):
                    yield f"\n{str(helps[name])[0].upper()}{str(helps[name])[1:]}.\n"
                yield from _arguments(other)


def _is_argument(action: argparse.Action) -> bool:
    return not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)


def _row(action: argparse.Action) -> str:
    names = action.option_strings or [_value(action)]
    value = f" {_value(action)}" if action.option_strings and action.nargs != 0 else ""
    said = " or ".join(f"`{name}{value}`" for name in names)
    return f"| {said} | {action.help or ''} |\n".replace("||", "\\|")


def _value(action: argparse.Action) -> str:
    if action.metavar is None and action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


if __name__ == "__main__":
    print(document(), end="")
