"""The configuration that a command line describes: files, laid over each other, and what flags change.

What is wrong with it is said all at once, each with the place where it was written.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mcli.api.exceptions import MCLIException, MCLIRunConfigValidationError
from mcli.models import config_yaml
from mcli.models.config_check import Path, Problem, path_text, problems
from mcli.models.config_yaml import Place

if TYPE_CHECKING:
    from mcli.models.run_config import RunConfig

#: Two places for one answer: what a later layer says in one takes the place of the other.
_SAME: tuple[tuple[Path, Path], ...] = (
    (("name",), ("run_name",)),
    (("compute", "cluster"), ("cluster",)),
    (("compute", "cluster"), ("platform",)),
    (("compute", "gpus"), ("gpu_num",)),
    (("compute", "gpu_type"), ("gpu_type",)),
    (("compute", "cpus"), ("cpus",)),
    (("command",), ("entrypoint",)),
)

#: A path as a person writes it: `integrations[0].git_branch`, or with `.0`.
_PATH = re.compile(r"[^.\[\]=]+(\.[^.\[\]=]+|\[\d+\])*")
_STEP = re.compile(r"[^.\[\]]+")


class Layer(Protocol):
    """Something that says part of a configuration, and where."""

    def over(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `values` with what this layer says laid over them."""

    def place(self, path: Path) -> Place | None:
        """Return where the value of that path was written; None if it was not written here."""


class Values(NamedTuple):
    """A mapping that was not read from a file: another run's configuration, or flags."""

    source: str
    content: Mapping[str, Any]

    def over(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Merge them, key by key."""
        return _merged(_without_same(values, self.content), self.content)

    def place(self, path: Path) -> Place | None:
        """They are all in one place."""
        return Place(self.source) if _says(self.content, path) else None


class File(NamedTuple):
    """A YAML file."""

    document: config_yaml.Document

    def over(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Merge it, key by key."""
        return Values("", self.document.content).over(values)

    def place(self, path: Path) -> Place | None:
        """Each part of it has a line and a column."""
        return self.document.place(path)


class Setting(NamedTuple):
    """One value, at its path: `--set parameters.lr=0.1`."""

    path: Path
    value: Any

    @property
    def source(self) -> str:
        """What messages call it."""
        return f"--set {path_text(self.path)}"

    def over(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Put the value where it belongs; mappings on the way are made."""
        said: Any = self.value
        for step in reversed(self.path):
            said = {step: said}
        placed: dict[str, Any] = _with(_without_same(values, said), self.path, self.value, self.source)
        return placed

    def place(self, path: Path) -> Place | None:
        """Everything at or below its path is its own."""
        return Place(self.source) if path[: len(self.path)] == self.path else None


def file(name: str) -> File:
    """Read a layer from a file, or from stdin where it is called `-`.

    Raises:
        MCLIRunConfigValidationError: it does not hold a YAML mapping.
    """
    if name == "-":
        return File(config_yaml.document(sys.stdin.read(), "stdin"))
    return File(config_yaml.document(config_yaml.read_text(name), name))


def setting(text: str) -> Setting:
    """Read a layer from `PATH=VALUE`.

    Raises:
        MCLIException: it has no such form.
    """
    path, equals, value = text.partition("=")
    if not equals or not _PATH.fullmatch(path):
        raise MCLIException(f"--set {text}: expected PATH=VALUE, such as parameters.optimizer.lr=0.1")
    steps = tuple(int(step) if step.isdigit() else step for step in _STEP.findall(path))
    return Setting(steps, config_yaml.value(value, f"--set {path}"))


def configuration(layers: Sequence[Layer]) -> RunConfig:
    """Return what the layers say together, the last one winning.

    Raises:
        MCLIRunConfigValidationError: it is incomplete or wrong; the message lists every problem.
    """
    from mcli.models.run_config import RunConfig

    values: dict[str, Any] = {}
    for layer in layers:
        values = layer.over(values)
    wrong = []
    for problem in problems(values):
        if problem.fatal:
            wrong.append(_placed(problem, layers))
        else:
            warnings.warn(_placed(problem, layers)[1], stacklevel=2)
            del values[str(problem.path[0])]
    if wrong:
        lines = [line for _, line in sorted(wrong, key=lambda each: each[0])]
        few = f"{len(lines)} mistakes in the run configuration:\n  " if len(lines) > 1 else ""
        raise MCLIRunConfigValidationError(few + "\n  ".join(lines))
    return RunConfig.from_dict(values)


def _placed(problem: Problem, layers: Sequence[Layer]) -> tuple[tuple[int, int, int], str]:
    """Return the order of a problem among others, and its line: the last layer that says it is to blame.

    What is missing has no place; that of what it is missing from is the nearest.
    """
    said = f"{path_text(problem.path)}: {problem.text}"
    for path in (problem.path, problem.path[:-1]):
        for number in reversed(range(len(layers))):
            place = layers[number].place(path) if path else None
            if place is not None:
                return (number, place.line, place.column), f"{place}: {said}"
    top = layers[0].place(())
    return (len(layers), 0, 0), f"{top.source}: {said}" if top else said


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _with(values: Any, path: Path, value: Any, source: str) -> Any:
    """Return `values` with `value` at `path`."""
    if not path:
        return value
    step, *rest = path
    if isinstance(values, list):
        if not isinstance(step, int) or step > len(values):
            raise MCLIException(
                f"{source}: {step!r} is no place in a list of {len(values)}; "
                f"0 to {len(values) - 1} are, and {len(values)} to add one"
            )
        before = values[step] if step < len(values) else None
        return [*values[:step], _with(before, tuple(rest), value, source), *values[step + 1 :]]
    if values is not None and not isinstance(values, Mapping):
        raise MCLIException(
            f"{source}: there is no {step!r} in {values!r}; it is neither a mapping nor a list"
        )
    known = dict(values or {})
    key = step if step in known else str(step)
    known[key] = _with(known.get(key), tuple(rest), value, source)
    return known


def _without_same(values: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` without what `layer` says in another place."""
    left = dict(values)
    for pair in _SAME:
        for said, other in (pair, pair[::-1]):
            if _says(layer, said) and _says(left, other) and said != other:
                left = _without(left, other)
    return left


def _says(values: Any, path: Iterable[str | int]) -> bool:
    for step in path:
        try:
            values = values[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _without(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    first, *rest = path
    left = {key: value for key, value in values.items() if key != first or rest}
    if rest:
        left[str(first)] = _without(values[str(first)], tuple(rest))
    return left
