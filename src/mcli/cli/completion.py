"""`mcli completion`: what a shell needs to complete commands, flags and names of runs.

The shell asks this program itself at every Tab: `main` then calls `complete`, and nothing else here runs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

EXAMPLES = """\
  eval "$(mcli completion bash)"       in ~/.bashrc
  eval "$(mcli completion zsh)"        in ~/.zshrc, after compinit
  mcli completion fish > ~/.config/fish/completions/mcli.fish
"""

#: Seconds that somebody who presses Tab waits for names.
_PATIENCE = 2.0

#: Names of runs that are offered: the latest.
_LATEST = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add for which shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="for which shell")


def run(args: argparse.Namespace) -> int:
    """Print the script that the shell evaluates."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["mcli"], shell=args.shell), end="")
    return 0


def complete(commands: dict[str, tuple[str, str]], aliases: dict[str, str]) -> None:
    """Answer a shell that asks, in its environment, what could follow; never returns if one does.

    Args:
        commands: module and help of each command.
        aliases: other words for commands.
    """
    import argcomplete

    from mcli.cli.parser import Parser

    words = os.environ.get("COMP_LINE", "").split()[1:]
    parser = Parser(prog="mcli")
    things = parser.add_subparsers()
    for name, (module, help_line) in commands.items():
        used = [word for word in words if aliases.get(word) == name]
        command = things.add_parser(name, aliases=used, help=help_line)
        if used or name in words:  # the others' arguments cannot be asked for
            import_module(f"mcli.cli.{module}").add_arguments(command)
    for action in _actions(parser):
        found = _COMPLETERS.get(str(action.metavar))
        if found:
            action.completer = found  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options=False)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for other in dict.fromkeys(action.choices.values()):
                yield from _actions(other)


def _runs(**_: Any) -> list[str]:
    from mcli import get_runs

    return [run.name for run in get_runs(limit=_LATEST, include_details=False, timeout=_PATIENCE)]


def _clusters(**_: Any) -> list[str]:
    from mcli import get_clusters

    return [cluster.name for cluster in get_clusters(timeout=_PATIENCE)]


def _statuses(**_: Any) -> list[str]:
    from mcli.models.run_status import RunStatus

    return [status.value.lower() for status in RunStatus if status is not RunStatus.UNKNOWN]


def _asking(names: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Return `names`, or nothing where no platform answers: pressing Tab starts none, and never fails."""

    def answer(**how: Any) -> list[str]:
        from mcli import embedded
        from mcli.cli.config import configured_endpoint

        try:
            return names(**how) if configured_endpoint() or embedded.find() else []
        except Exception:
            return []

    return answer


#: What completes a value, by what its help calls it.
_COMPLETERS: dict[str, Callable[..., list[str]]] = {
    "RUN": _asking(_runs),
    "CLUSTER": _asking(_clusters),
    "STATUS": _statuses,
}
