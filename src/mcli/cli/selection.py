"""Which runs are meant: names, patterns and filters on a command line become runs."""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from mcli.cli import values
from mcli.cli.clusters import named_clusters
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.run import Run

#: Runs fetched at once while looking for names that match a pattern.
_PAGE = 500

#: Runs changed at once: few enough that a call is answered soon.
_AT_ONCE = 100

#: Among how many of the latest runs a mistyped name is looked for.
_RECENT = 200


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add names, patterns and filters of runs."""
    parser.add_argument("names", nargs="*", metavar="RUN", help="names, or patterns such as 'llama-*'")
    add_filter_arguments(parser)


def add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the filters of runs; each takes several values, separated by commas."""
    filters = parser.add_argument_group("filters (several values: a,b,c)")
    filters.add_argument(
        "-c",
        "--cluster",
        "-p",
        "--platform",
        dest="clusters",
        type=values.words,
        metavar="CLUSTER",
        help="on a cluster",
    )
    filters.add_argument(
        "-s",
        "--status",
        dest="statuses",
        type=values.statuses,
        metavar="STATUS",
        help="in a status, such as running",
    )
    filters.add_argument(
        "-t", "--gpu-type", dest="gpu_types", type=values.words, metavar="TYPE", help="with GPUs of a type"
    )
    filters.add_argument(
        "-n",
        "--gpu-num",
        dest="gpu_nums",
        type=values.numbers,
        metavar="N",
        help="with this many GPUs",
    )
    filters.add_argument(
        "--before",
        type=values.moment,
        metavar="TIME",
        help="created before: 2026-01-31, 2026-01-31T18:30, or 2h for two hours ago",
    )
    filters.add_argument("--after", type=values.moment, metavar="TIME", help="created then or later")


def filters_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the filters that were given, as keyword arguments of `mcli.get_runs`."""
    names = ("clusters", "statuses", "gpu_types", "gpu_nums", "before", "after")
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def select(args: argparse.Namespace, *, limit: int | None = None, **how: Any) -> tuple[list[Run], bool]:
    """Return the runs that are meant, newest first, and whether there are more than `limit`.

    Args:
        args: parsed arguments with those of `add_run_arguments`.
        limit: how many runs at most.
        how: further arguments of `mcli.get_runs`: `include_deleted`, `include_details`.

    Raises:
        MCLIException: a run that was named does not exist.
    """
    filters = {**filters_of(args), **how}
    patterns = any(map(_is_pattern, args.names))
    if args.names and not patterns:
        filters["runs"] = args.names
    page = _PAGE if limit is None or patterns else min(limit + 1, _PAGE)
    meant = (run for run in _newest_first(page, filters) if _is_meant(run, args.names))
    chosen = list(islice(meant, None if limit is None else limit + 1))
    more = limit is not None and len(chosen) > limit
    if not chosen and args.clusters:
        named_clusters(args.clusters)  # one that does not exist is told
    if not more and not filters_of(args):
        found = {run.name for run in chosen}
        for name in args.names:
            if name not in found and not _is_pattern(name):
                raise unknown_run(name)
    return chosen[:limit], more


def select_to_change(
    args: argparse.Namespace, verb: str, concerns: frozenset[RunStatus] | None = None
) -> list[Run]:
    """Return the runs that a command is about to change, once it is certain that they are meant.

    Args:
        args: parsed arguments with those of `add_change_arguments`.
        verb: what will happen to the runs, for example `stop`.
        concerns: leave out runs in any other status.

    Raises:
        MCLIException: nothing was named, nothing matches, or the person did not agree.
    """
    from mcli.api.exceptions import MCLIException

    if not (args.names or args.all or filters_of(args)):
        raise MCLIException(f"Which runs? Name them, give a filter, or {verb} all of them with --all")
    runs, _ = select(args, include_details=False)
    if concerns is not None:
        runs = [run for run in runs if run.status in concerns]
    if not runs:
        raise MCLIException(f"There are no runs to {verb}")
    if len(runs) > 1 and not args.yes:
        confirm([run.name for run in runs], "runs", verb)
    return runs


def change(runs: list[Run], call: Callable[[list[Run]], Iterable[Run]], changed: str) -> None:
    """Change runs, print their names, and show how far it has come where there are many.

    Args:
        runs: what is changed.
        call: changes some of them, and returns those.
        changed: what has happened to them, for example `stopped`.
    """
    from mcli.cli.output import progress

    for begin in range(0, len(runs), _AT_ONCE):
        for each in call(runs[begin : begin + _AT_ONCE]):
            print(each.name)
        if len(runs) > _AT_ONCE:
            progress(f"{min(begin + _AT_ONCE, len(runs))} of {len(runs)} {changed}")
    if len(runs) > _AT_ONCE:
        progress("")


def add_change_arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add what a command that changes runs needs: which, and how sure."""
    parser.add_argument("what", choices=("run", "runs"), help="what is meant")
    add_changed_run_arguments(parser, verb)


def add_changed_run_arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add which runs, where it has been said that runs are meant."""
    add_run_arguments(parser)
    parser.add_argument("-a", "--all", action="store_true", help=f"{verb} all runs (that pass the filters)")
    parser.add_argument("-y", "--yes", "--force", action="store_true", help="do not ask")


def named_run(name: str | None) -> Run:
    """Return one run with its details: the one of that name, or the latest.

    Raises:
        MCLIException: there is none.
    """
    from mcli import get_runs
    from mcli.api.exceptions import MCLIException

    if name is None:
        latest = get_runs(limit=1, include_details=True)
        if not latest:
            raise MCLIException("There are no runs yet. Submit one with `mcli run -f FILE`")
        return latest[0]
    found = get_runs([name], include_details=True)
    if not found:
        raise unknown_run(name)
    return found[0]


def unknown_run(name: str) -> Exception:
    """Return the error for a name that no run has, with the one that was probably meant."""
    from mcli import get_runs
    from mcli.api.exceptions import MCLIException

    recent = [run.name for run in get_runs(limit=_RECENT, include_details=False)]
    started = [known for known in recent if known.startswith(f"{name}-")]
    close = started[:1] or difflib.get_close_matches(name, recent, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else " `mcli get runs` lists those there are."
    return MCLIException(f"There is no run named {name!r}.{hint}")


def _newest_first(page: int, filters: dict[str, Any]) -> Iterator[Run]:
    """Yield matching runs; the next page is fetched when it is needed."""
    from mcli import get_runs

    runs = get_runs(limit=page, **filters)
    yield from runs
    while runs.has_next_page:
        runs = runs.next_page()
        yield from runs


def _is_meant(run: Run, names: list[str]) -> bool:
    return not names or any(run.name == name or fnmatch.fnmatchcase(run.name, name) for name in names)


def confirm(names: list[str], things: str, verb: str) -> None:
    """Ask the person whether all of these are meant.

    Raises:
        MCLIException: they are not, or nobody is there to say so.
    """
    from mcli.api.exceptions import MCLIException

    question = f"{verb.capitalize()} {len(names)} {things}: {', '.join(names)}"
    if not sys.stdin.isatty():
        raise MCLIException(f"{question}? Nobody is there to answer; say yes with -y")
    print(f"{question}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise MCLIException(f"Nothing was changed; there is nothing to {verb}")


def _is_pattern(name: str) -> bool:
    return any(character in name for character in "*?[")
