"""What a user may submit as a secret.

No message repeats a value: a mistake is named by its field only.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from mapi.domain.access import TOKEN_PATH
from mapi.domain.errors import BadRequest
from mapi.domain.run import Json
from mapi.domain.runtime import PARAMETERS_MOUNT
from mapi.domain.secrets import BY_INPUT, Kind, Value
from mcli.models.secret import SecretType

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MAX_NAME = 253
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Directories of a run that are not for secrets.
_TAKEN = ("/proc", "/sys", "/dev", PARAMETERS_MOUNT, posixpath.dirname(TOKEN_PATH))


class NewSecret(msgspec.Struct, frozen=True):
    """A secret as it was submitted, checked."""

    name: str
    kind: Kind
    metadata: dict[str, str]
    value: Value

    def __repr__(self) -> str:
        return f"NewSecret({self.name!r})"


def parse_secret(data: Json) -> NewSecret:
    """Check a submitted secret.

    Args:
        data: a mapping with one key, the kind's, to name, metadata and value.

    Raises:
        BadRequest: naming the field that is missing or wrong.
    """
    if not isinstance(data, dict):
        raise BadRequest(f"createSecretData must be an object with one of {', '.join(BY_INPUT)}")
    given = [key for key, value in data.items() if value is not None]
    if len(given) != 1:
        raise BadRequest(f"createSecretData must have exactly one of {', '.join(BY_INPUT)}; it has {given}")
    key = given[0]
    kind = BY_INPUT.get(key)
    if kind is None:
        close = difflib.get_close_matches(key, BY_INPUT, n=1)
        hint = f"did you mean {close[0]}?" if close else f"accepted: {', '.join(BY_INPUT)}"
        raise BadRequest(f"{key} is no kind of secret; {hint}")
    body = data[key]
    if not isinstance(body, dict):
        raise BadRequest(f"{key} must be an object with name, metadata and value")
    name = _name(body.get("name"), key)
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadRequest(f"{key}.metadata must be an object")
    return NewSecret(name, kind, _metadata(kind, name, metadata), _value(kind, body.get("value")))


def _name(name: Any, key: str) -> str:
    if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise BadRequest(
            f"{key}.name: {name!r} is not accepted; at most {_MAX_NAME} lower-case letters, digits, '-' and "
            "'.', each part beginning and ending with a letter or digit"
        )
    return name


def _metadata(kind: Kind, name: str, metadata: Mapping[str, Any]) -> dict[str, str]:
    if kind.location is None:
        return {}
    field, given = f"{kind.input}.metadata.{kind.location}", metadata.get(kind.location)
    if kind.type is SecretType.ENV_VAR:
        if not isinstance(given, str) or not _VARIABLE.fullmatch(given):
            raise BadRequest(f"{field}: {given!r} is no name of a variable: letters, digits and '_'")
        return {kind.location: given}
    path = f"/secrets/{name}" if given in (None, "") else given
    if (
        not isinstance(path, str)
        or not path.startswith("/")
        or "\0" in path
        or posixpath.normpath(path) == "/"
    ):
        raise BadRequest(f"{field}: {given!r} is no absolute path of a directory, such as /secrets/{name}")
    path = posixpath.normpath(path).replace("//", "/")
    if any(path == taken or path.startswith(f"{taken}/") for taken in _TAKEN):
        raise BadRequest(
            f"{field}: {given!r} has a use of its own in runs; choose another, such as /secrets/{name}"
        )
    return {kind.location: path}


def _value(kind: Kind, given: Any) -> Value:
    field = f"{kind.input}.value"
    if not kind.required:
        if not isinstance(given, str) or not given:
            raise BadRequest(f"{field} must be a text that is not empty")
        if kind.type is SecretType.ENV_VAR and "\0" in given:
            raise BadRequest(f"{field} has a null character, which no variable can hold")
        return given
    fields = given if isinstance(given, dict) else {}
    missing = [name for name in kind.required if not fields.get(name)]
    if missing:
        raise BadRequest(f"{field} lacks {', '.join(missing)}")
    found = {name: fields[name] for name in kind.required + kind.optional if fields.get(name)}
    wrong = [name for name, text in found.items() if not isinstance(text, str) or "\0" in text]
    if wrong:
        raise BadRequest(f"{field}: {', '.join(wrong)} must be text without null characters")
    return found
