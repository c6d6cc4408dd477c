"""Every error the client raises.

    MCLIException                        anything this package reports
     ├─ MCLIConfigError                  which platform, which key: the local settings are incomplete or wrong
     ├─ MCLIRunConfigValidationError     a run configuration that cannot be read or sent
     ├─ InvalidArgument (ValueError)     an argument of a call is not one of the accepted values
     ├─ RunFailed                        the run ended in failure before it reached the awaited status
     ├─ MintException                    there is no shell to be had in a run, or it was lost
     ├─ RunStatusNotReached              the run ended otherwise without reaching the awaited status
     └─ MAPIException(status, message)   the platform refused, or could not be reached (503)
         ├─ RunConfigException           the run configuration was refused
         └─ KubernetesException          any other answer of the platform: 404 unknown run, 409 conflict …
             └─ InstanceTypeUnavailable  the requested compute can never be had

`str()` of a `MAPIException` is `Error 404: Run x not found`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from mcli.models.naming import snake

if TYPE_CHECKING:
    from mcli.models.run import Run
    from mcli.models.run_status import RunStatus


class MCLIException(Exception):
    """Anything this package reports."""


class MCLIConfigError(MCLIException):
    """The local settings do not say which platform to use, or with which key."""


class MCLIRunConfigValidationError(MCLIException):
    """A run configuration cannot be read, or holds what cannot be sent."""


class InvalidArgument(MCLIException, ValueError):
    """An argument of a call is not one of the accepted values."""


class RunFailed(MCLIException):
    """The run ended in failure before it reached the awaited status.

    Attributes:
        run: the run, as it was when it had ended.
        expected: the awaited status.
    """

    def __init__(self, run: Run, expected: RunStatus) -> None:
        super().__init__(run, expected)
        self.run = run
        self.expected = expected

    def __str__(self) -> str:
        why = f" ({self.run.reason})" if self.run.reason else ""
        return f"Run {self.run.name} ended as {self.run.status}{why} before it reached {self.expected}"


class RunStatusNotReached(MCLIException):
    """The run ended, not in failure, without reaching the awaited status.

    Attributes:
        run: the run, as it was when it had ended.
        expected: the awaited status.
    """

    def __init__(self, run: Run, expected: RunStatus) -> None:
        super().__init__(run, expected)
        self.run = run
        self.expected = expected

    def __str__(self) -> str:
        return f"Run {self.run.name} ended as {self.run.status} and never was {self.expected}"


class MintException(MCLIException):
    """There is no shell to be had in a run, or the connection to it was lost."""


class MAPIException(MCLIException):
    """The platform refused, or could not be reached.

    Attributes:
        status: the HTTP status that describes it.
        message: what a person can act on.
    """

    def __init__(self, status: HTTPStatus, message: str = "") -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return "\n".join(f"Error {self.status.value}: {line}" for line in self.message.split("\n"))


class RunConfigException(MAPIException):
    """The platform refused a run configuration; the message lists every problem."""


class KubernetesException(MAPIException):
    """The platform answered with an error. The name is historical: no Kubernetes need be involved."""


class InstanceTypeUnavailable(KubernetesException):
    """The requested compute can never be had here; the message says what there is."""


#: What the server calls an error, where that has a class of its own here.
_KINDS: Mapping[str, type[MAPIException]] = {
    "BadRunRequest": RunConfigException,
    "InstanceTypeUnavailable": InstanceTypeUnavailable,
}


#: How the platform says, in its own words, that a field is missing.
_REQUIRED = re.compile(r"\b(\w+)(?= is a required field)")


def _in_the_users_words(field: re.Match[str]) -> str:
    return {"runName": "name"}.get(field[1]) or snake(field[1])


def http_status(code: object) -> HTTPStatus:
    """Return `code` as a status; anything that is none counts as 500."""
    try:
        return HTTPStatus(code)  # type: ignore[arg-type]
    except ValueError:
        return HTTPStatus.INTERNAL_SERVER_ERROR


def from_answer(errors: Iterable[Mapping[str, Any]]) -> MAPIException:
    """Make one exception of the errors in an answer of the platform.

    The first error decides the class, the highest code the status; every message is kept, a line each.
    """
    found: list[type[MAPIException]] = []
    codes: list[HTTPStatus] = []
    messages: list[str] = []
    for error in errors:
        message = str(error.get("message") or "no message")
        extensions = error.get("extensions") or {}
        by_text = RunConfigException if "Bad run request" in message else KubernetesException
        found.append(_KINDS.get(extensions.get("kind") or "", by_text))
        codes.append(http_status(extensions.get("code")))
        messages.append(_REQUIRED.sub(_in_the_users_words, message))
    if not found:
        return KubernetesException(
            HTTPStatus.INTERNAL_SERVER_ERROR, "The platform sent an empty list of errors"
        )
    return found[0](max(codes), "\n".join(messages))
