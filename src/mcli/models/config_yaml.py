"""Run configurations as YAML text: read with care, written to be read.

YAML 1.1, which PyYAML speaks, reads `lr: 1e-4` as text. A training job finds out hours later, so it is said
at once.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mcli.api.exceptions import MCLIRunConfigValidationError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

#: What YAML 1.2 and people read as a number, and YAML 1.1 as text.
_LOOKS_LIKE_A_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")


def read(path: str | Path) -> dict[str, Any]:
    """Read a mapping from a file.

    Raises:
        MCLIRunConfigValidationError: there is no such file, or it does not hold a YAML mapping.
    """
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MCLIRunConfigValidationError(f"{path}: no such file") from None
    except OSError as error:
        raise MCLIRunConfigValidationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MCLIRunConfigValidationError(
            f"{path}: not a text file (byte {error.start} is not UTF-8)"
        ) from error
    return parse(text, source=str(path))


def parse(text: str, *, source: str = "run configuration") -> dict[str, Any]:
    """Read a mapping from text; `source` is what messages call it.

    Raises:
        MCLIRunConfigValidationError: the text is not a YAML mapping.
    """
    try:
        loader = _LOADER(text)
        try:
            root = loader.get_single_node()
            content = None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise MCLIRunConfigValidationError(f"{source}{where}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise MCLIRunConfigValidationError(f"{source}: {error}") from error
    if content is None:
        raise MCLIRunConfigValidationError(f"{source}: the file is empty")
    if not isinstance(content, dict):
        raise MCLIRunConfigValidationError(
            f"{source}: expected a mapping such as 'name: my-run', found a {type(content).__name__}"
        )
    try:
        numbers = list(_numbers_read_as_text(root, ""))
    except RecursionError:
        raise MCLIRunConfigValidationError(f"{source}: something in it contains itself") from None
    for where, scalar in numbers:
        text, line = scalar.value, scalar.start_mark.line + 1
        warnings.warn(
            f"{source}, line {line}: {where}: {text} is read as text, not as a number; "
            f"write {_as_float(text)}, or '{text}' in quotes if text is meant",
            stacklevel=4,
        )
    return content


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
