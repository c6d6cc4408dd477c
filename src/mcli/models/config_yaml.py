"""Run configurations as YAML text: read with care, written to be read.

YAML 1.1, which PyYAML speaks, reads `lr: 1e-4` as text. A training job finds out hours later, so it is said
at once.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mcli.api.exceptions import MCLIRunConfigValidationError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

#: What YAML 1.2 and people read as a number, and YAML 1.1 as text.
_LOOKS_LIKE_A_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")


class Place(NamedTuple):
    """Where something was written. `line` and `column` count from 1; 0 where there are none."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class Document(NamedTuple):
    """A mapping read from YAML, with what remembers where each part of it was written."""

    source: str
    root: yaml.Node
    content: dict[str, Any]

    def place(self, path: Iterable[str | int]) -> Place | None:
        """Return where the value of that path was written; None if it was not."""
        node, mark = self.root, self.root.start_mark
        for step in path:
            if isinstance(node, yaml.MappingNode):
                found = [pair for pair in node.value if pair[0].value == step][-1:]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                found = [(item, item) for item in node.value[step : step + 1]]
            else:
                found = []
            if not found:
                return None
            key, node = found[0]
            mark = key.start_mark
        return Place(self.source, mark.line + 1, mark.column + 1)


def read(path: str | Path) -> dict[str, Any]:
    """Read a mapping from a file.

    Raises:
        MCLIRunConfigValidationError: there is no such file, or it does not hold a YAML mapping.
    """
    return parse(read_text(path), source=str(path))


def read_text(path: str | Path) -> str:
    """Read a file.

    Raises:
        MCLIRunConfigValidationError: there is no such file, or it does not hold text.
    """
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MCLIRunConfigValidationError(f"{path}: no such file") from None
    except OSError as error:
        raise MCLIRunConfigValidationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MCLIRunConfigValidationError(
            f"{path}: not a text file (byte {error.start} is not UTF-8)"
        ) from error


def parse(text: str, *, source: str = "run configuration") -> dict[str, Any]:
    """Read a mapping from text; `source` is what messages call it.

    Raises:
        MCLIRunConfigValidationError: the text is not a YAML mapping.
    """
    return document(text, source).content


def document(text: str, source: str) -> Document:
    """Read a mapping from text, and keep where its parts are.

    Raises:
        MCLIRunConfigValidationError: the text is not a YAML mapping.
    """
    root, content = _compose(text, source)
    if root is None or content is None:
        raise MCLIRunConfigValidationError(f"{source}: the file is empty")
    if not isinstance(content, dict):
        raise MCLIRunConfigValidationError(
            f"{source}: expected a mapping such as 'name: my-run', found a {type(content).__name__}"
        )
    _warn_of_numbers_read_as_text(root, source, stacklevel=6)
    return Document(source, root, content)


def value(text: str, source: str) -> Any:
    """Read any one value, as it may stand in a file.

    Raises:
        MCLIRunConfigValidationError: the text is not YAML.
    """
    root, content = _compose(text, source)
    if root is not None:
        _warn_of_numbers_read_as_text(root, source, stacklevel=4)
    return content


def _compose(text: str, source: str) -> tuple[yaml.Node | None, Any]:
    try:
        loader = _LOADER(text)
        try:
            root = loader.get_single_node()
            return root, None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise MCLIRunConfigValidationError(f"{source}{where}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise MCLIRunConfigValidationError(f"{source}: {error}") from error


def _warn_of_numbers_read_as_text(root: yaml.Node, source: str, *, stacklevel: int) -> None:
    try:
        numbers = list(_numbers_read_as_text(root, ""))
    except RecursionError:
        raise MCLIRunConfigValidationError(f"{source}: something in it contains itself") from None
    for where, scalar in numbers:
        text, line = scalar.value, scalar.start_mark.line + 1
        warnings.warn(
            f"{source}, line {line}: {where}{': ' if where else ''}{text} is read as text, not as a number; "
            f"write {_as_float(text)}, or '{text}' in quotes if text is meant",
            stacklevel=stacklevel,
        )


def dump(content: Mapping[str, Any]) -> str:
    """Return `content` as YAML in the order of its keys, text of several lines as block literals."""
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31 - 1)
    return str(text)


class _Dumper(_DUMPER):  # type: ignore[misc, valid-type]
    """Writes every value out: no anchors, and block literals where they are readable."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _numbers_read_as_text(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _numbers_read_as_text(value, f"{path}.{key.value}" if path else str(key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _numbers_read_as_text(value, f"{path}[{index}]")
    elif not node.style and node.tag == "tag:yaml.org,2002:str" and _LOOKS_LIKE_A_FLOAT.fullmatch(node.value):
        yield path, node


def _as_float(text: str) -> str:
    """Return the number as YAML 1.1 reads it: with a point, and a sign in the exponent."""
    mantissa, exponent = re.split("[eE]", text)
    mantissa = mantissa if "." in mantissa else mantissa + ".0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"
