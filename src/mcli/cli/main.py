"""Which command is meant, and how it ends.

A command is a module with `EXAMPLES`, `add_arguments(parser)` and `run(args) -> exit code`. Only the one
that is named is imported: start-up time is what a person notices first.

Exit codes: 0 done, 1 an error that was explained on stderr, 2 a command line that makes no sense.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

TYPE_CHECKING = False  # what type checkers take for True; importing it would cost more than all the rest
if TYPE_CHECKING:
    from types import ModuleType

    from mcli.cli.parser import Parser

#: name → (module in this package, one line of help)
COMMANDS = {
    "run": ("run", "submit a run, and follow its log"),
    "create": ("create", "keep a secret, for all later runs"),
    "get": ("get", "list runs, clusters, secrets or users"),
    "logs": ("logs", "show or follow the log of a run"),
    "connect": ("connect", "open a shell in a run that is running"),
    "interactive": ("interactive", "hold compute for some hours, and open a shell in it"),
    "describe": ("describe", "tell all about a run, a cluster or yourself"),
    "stop": ("stop", "stop runs; they keep their logs and can be restarted"),
    "delete": ("delete", "delete runs, and stop them first; delete secrets"),
    "update": ("update", "change how a run queues, while it does"),
    "watchdog": ("watchdog", "retry a run when it fails"),
    "diff": ("diff", "compare the configurations of two runs"),
    "util": ("util", "show what is used, by whom, and who waits"),
    "platform": ("platform", "the platform on this machine: start, status, stop"),
    "init": ("init", "set up the configuration file"),
    "config": ("config", "show which platform is used, and with which key"),
    "completion": ("completion", "print what a shell needs to complete commands and names"),
    "schema": ("schema", "print the JSON Schema of a run configuration, for editors"),
    "set": ("set", "change the configuration: the key, or a feature"),
    "unset": ("unset", "switch a feature off in the configuration"),
    "version": ("version", "show the version"),
}

ALIASES = {
    "r": "run",
    "g": "get",
    "log": "logs",
    "del": "delete",
    "utilization": "util",
    "i": "init",
    "c": "config",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments after the program's name; those of the process where None.
    """
    if "_ARGCOMPLETE" in os.environ:
        from mcli.cli.completion import complete

        complete(COMMANDS, ALIASES)
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = False
    while arguments and arguments[0] in ("-v", "--verbose"):
        verbose = True
        del arguments[0]
    if arguments in (["version"], ["--version"]):  # asked by scripts: not worth a parser
        from mcli.version import __version__

        print(f"mcli {__version__}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    word, *rest = arguments
    name = ALIASES.get(word, word)
    if name not in COMMANDS:
        print(f"mcli: {word!r} is not a command.{_did_you_mean(word)} See `mcli --help`", file=sys.stderr)
        return 2
    return _run(name, rest, verbose)


def overview() -> str:
    """Return what `mcli --help` prints."""
    short = {name: alias for alias, name in reversed(ALIASES.items())}
    lines = [
        "usage: mcli [-v] COMMAND ...",
        "",
        "Submit training runs, follow them, look back at them.",
        "",
    ]
    for name, (_, help_line) in COMMANDS.items():
        label = f"{name}, {short[name]}" if name in short else name
        lines.append(f"  {label:<18} {help_line}")
    lines += [
        "",
        "  -v, --verbose      show where an error came from",
        "  --version          show the version",
        "",
        "`mcli COMMAND --help` explains a command. A first run:",
        "",
        "  mcli run -f examples/hello_world.yaml --follow",
    ]
    return "\n".join(lines)


def _run(name: str, arguments: list[str], verbose: bool) -> int:
    import warnings

    module = import_module(f"mcli.cli.{COMMANDS[name][0]}")
    parser = command_parser(name, module)
    warnings.showwarning = _show_warning
    args = parser.parse(arguments)
    for stream in (sys.stdout, sys.stderr):  # a log may hold what this terminal cannot show
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        code: int = module.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("mcli: interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read this has read enough. Python flushes once more at exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if verbose:
            import traceback

            traceback.print_exc()
        print(f"mcli: {_explain(error)}", file=sys.stderr)
        return 1
    return code


def command_parser(name: str, module: ModuleType) -> Parser:
    """Return the parser of a command's arguments."""
    import argparse

    from mcli.cli.parser import Parser

    help_line = COMMANDS[name][1]
    parser = Parser(
        prog=f"mcli {name}",
        description=help_line[0].upper() + help_line[1:] + ".",
        epilog="examples:\n" + module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return parser


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print what is worth knowing without the line of code that knows it."""
    print(f"mcli: warning: {message}", file=sys.stderr)


def _explain(error: Exception) -> str:
    """Return one sentence for an error."""
    from mcli.api.exceptions import MCLIException

    if isinstance(error, TimeoutError):
        return str(error) or "the platform did not answer in time"
    if isinstance(error, MCLIException | OSError | RuntimeError | ValueError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error} (`mcli -v ...` shows where it came from)"


def _did_you_mean(word: str) -> str:
    import difflib

    close = difflib.get_close_matches(word, [*COMMANDS, *ALIASES], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
