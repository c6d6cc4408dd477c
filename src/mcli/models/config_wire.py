"""A run configuration as it travels: `runInput`, and back.

Tables say which field is called what, and in which form each travels. `cpus: 0`, `{}`, `""` and null mean
"not said".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any, NamedTuple

from mcli.api.exceptions import MCLIRunConfigValidationError
from mcli.models.naming import camel, camel_keys, snake_keys

#: How a run starts that names an entrypoint instead of a command.
_ENTRYPOINT_COMMAND = "composer {} -f /mnt/config/parameters.yaml"


def jsonable(value: Any, where: str) -> Any:
    """Return a deep copy of `value` made of what JSON can carry; `where` names it in messages.

    Dates become text, numbers of numerical libraries become plain ones.

    Raises:
        MCLIRunConfigValidationError: something in it has no form in JSON.
    """
    if isinstance(value, Enum):
        return jsonable(value.value, where)
    if callable(getattr(value, "tolist", None)):
        return jsonable(value.tolist(), where)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): jsonable(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, date | PurePath):
        return value.isoformat() if isinstance(value, date) else str(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [jsonable(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise MCLIRunConfigValidationError(
        f"{where}: a {type(value).__name__} cannot be sent; "
        "use text, numbers, booleans, dates, lists and mappings of those"
    )


def env_pairs(value: Any, where: str = "env_variables") -> list[tuple[str, str]]:
    """Return environment variables as (name, value), whichever of the accepted forms they were given in.

    Args:
        value: `{NAME: value}`, `[{"key": NAME, "value": value}]` or `[{NAME: value}]`.
        where: what messages call it.

    Raises:
        MCLIRunConfigValidationError: it is none of these.
    """
    if isinstance(value, Mapping):
        return [(str(name), _env_text(text, f"{where}.{name}")) for name, text in value.items()]
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _bad_env(where, value)
    pairs: list[tuple[str, str]] = []
    for index, item in enumerate(value):
        if not isinstance(item, Mapping):
            raise _bad_env(f"{where}[{index}]", item)
        if item.keys() == {"key", "value"}:
            pairs.append((str(item["key"]), _env_text(item["value"], f"{where}[{index}]")))
        else:
            pairs += env_pairs(item, f"{where}[{index}]")
    return pairs


def _env_text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise _bad_env(where, value)


def _bad_env(where: str, value: Any) -> MCLIRunConfigValidationError:
    return MCLIRunConfigValidationError(
        f"{where}: expected {{NAME: value}} or a list of {{key: NAME, value: value}}, got {value!r}"
    )


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MCLIRunConfigValidationError(f"{where}: expected a mapping, got {value!r}")
    return value


def _send_block(value: Any, where: str) -> dict[str, Any]:
    block: dict[str, Any] = jsonable(camel_keys(_mapping(value, where)), where)
    return block


def _read_block(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in snake_keys(value).items() if key != "priority_int"}


def _send_env(value: Any, where: str) -> list[dict[str, str]]:
    return [{"envKey": name, "envValue": text} for name, text in env_pairs(value, where)]


def _read_env(value: Any) -> list[dict[str, str]]:
    return [{"key": item["envKey"], "value": item["envValue"]} for item in value]


def _send_integrations(value: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise MCLIRunConfigValidationError(f"{where}: expected a list of mappings, got {value!r}")
    sent = []
    for index, item in enumerate(value):
        params = dict(_mapping(item, f"{where}[{index}]"))
        kind = params.pop("integration_type", None) or params.pop("type", None)
        if not kind:
            raise MCLIRunConfigValidationError(
                f"{where}[{index}]: integration_type is missing, for example 'integration_type: git_repo'"
            )
        sent.append({"type": kind, "params": _send_block(params, f"{where}[{index}]")})
    return sent


def _read_integrations(value: Any) -> list[dict[str, Any]]:
    return [{"integration_type": item["type"], **snake_keys(item.get("params") or {})} for item in value]


def _send_dependent(value: Any, where: str) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    for key, item in _mapping(value, where).items():
        if item is None:
            continue
        place = f"{where}.{key}"
        if camel(key) in ("envVariables", "env"):
            sent["envVariables"] = _send_env(item, place)
        else:
            sent[camel(key)] = (
                _send_block(item, place) if isinstance(item, Mapping) else jsonable(item, place)
            )
    return sent


def _read_dependent(value: Mapping[str, Any]) -> dict[str, Any]:
    read = {
        key: snake_keys(item) if isinstance(item, Mapping) else item
        for key, item in snake_keys(value).items()
    }
    if "env_variables" in read:
        read["env_variables"] = _read_env(read["env_variables"])
    return read


def _send_metadata(value: Any, where: str) -> dict[str, Any]:
    known = {key: item for key, item in _mapping(value, where).items() if item is not None}
    metadata: dict[str, Any] = jsonable(known, where)
    return metadata


def _send_parameters(value: Any, where: str) -> dict[str, Any]:
    parameters: dict[str, Any] = jsonable(_mapping(value, where), where)
    return parameters


def _same(value: Any) -> Any:
    return value


class _Field(NamedTuple):
    """A field of a run configuration: its name on the wire, and its form there and here."""

    wire: str
    send: Callable[[Any, str], Any] = jsonable
    read: Callable[[Any], Any] = _same


#: In the order a configuration is written in.
FIELDS: dict[str, _Field] = {
    "name": _Field("runName"),
    "image": _Field("image"),
    "cluster": _Field("cluster"),
    "gpu_type": _Field("gpuType"),
    "gpu_num": _Field("gpuNum"),
    "cpus": _Field("cpus"),
    "partitions": _Field("partitions"),
    "optimization_level": _Field("optimizationLevel"),
    "compute": _Field("compute", _send_block, _read_block),
    "scheduling": _Field("scheduling", _send_block, _read_block),
    "integrations": _Field("integrations", _send_integrations, _read_integrations),
    "env_variables": _Field("envVariables", _send_env, _read_env),
    "command": _Field("command"),
    "entrypoint": _Field("entrypoint"),
    "parameters": _Field("parameters", _send_parameters),
    "metadata": _Field("metadata", _send_metadata),
    "dependent_deployment": _Field("dependentDeployment", _send_dependent, _read_dependent),
    "parent_name": _Field("parentName"),
}


def to_wire(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `runInput` that asks for what `values`, by field name, say; nothing in it is shared with
    them.

    Raises:
        MCLIRunConfigValidationError: a field has a form that cannot be sent.
    """
    if values.get("command") and values.get("entrypoint"):
        raise MCLIRunConfigValidationError(
            f"command and entrypoint are both given ({values['entrypoint']!r}); give one of them"
        )
    sent = {field.wire: field.send(values[name], name) for name, field in FIELDS.items() if values.get(name)}
    entrypoint = sent.pop("entrypoint", None)
    if entrypoint:
        sent["command"] = _ENTRYPOINT_COMMAND.format(entrypoint)
    return sent


def from_wire(run_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a `runInput` by field name; keys that are no fields are left out."""
    return {
        name: field.read(run_input[field.wire]) for name, field in FIELDS.items() if run_input.get(field.wire)
    }
