"""Every error a caller can be told about.

    MAPIError(code, message)
     ├─ BadRequest 400
     │   ├─ BadRunRequest            what is wrong with a configuration, in the user's names
     │   └─ InstanceTypeUnavailable  what was asked for, and what there is
     ├─ Unauthorized 401
     ├─ Forbidden 403
     ├─ NotFound 404
     ├─ Conflict 409
     ├─ NotImplementedHere 501
     └─ Unavailable 503              nothing happened; the client may try again

`kind` travels beside the code, so that a client can raise the exception of the same name.
"""

from __future__ import annotations

from http import HTTPStatus

#: How a message ends that names a missing field; the published clients look for it.
REQUIRED = " is a required field"


class MAPIError(Exception):
    """An error with an HTTP status code and a message a person can act on."""

    code: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def kind(self) -> str:
        """The name that travels to the client."""
        return type(self).__name__


class BadRequest(MAPIError):
    """The request itself is wrong."""

    code = HTTPStatus.BAD_REQUEST


class BadRunRequest(BadRequest):
    """A run's configuration is incomplete or wrong; lists every problem at once.

    What begins with "Bad run request" is taken by the first clients for a list of missing fields, and nothing
    else of it is shown.
    """

    def __init__(self, problems: list[str]) -> None:
        text = "; ".join(problems)
        missing = any(problem.endswith(REQUIRED) for problem in problems)
        super().__init__(f"Bad run request: {text}" if missing else text)
        self.problems = problems


class InstanceTypeUnavailable(BadRequest):
    """The requested compute can never be had here."""


class Unauthorized(MAPIError):
    """The API key is missing or wrong."""

    code = HTTPStatus.UNAUTHORIZED


class Forbidden(MAPIError):
    """The caller may not do this."""

    code = HTTPStatus.FORBIDDEN


class NotFound(MAPIError):
    """There is no such thing, or the caller may not see it."""

    code = HTTPStatus.NOT_FOUND


class Conflict(MAPIError):
    """The thing exists already, or its state forbids the request."""

    code = HTTPStatus.CONFLICT


class NotImplementedHere(MAPIError):
    """The protocol knows this operation; this platform does not perform it."""

    code = HTTPStatus.NOT_IMPLEMENTED


class Unavailable(MAPIError):
    """The platform cannot take the request now; nothing happened."""

    code = HTTPStatus.SERVICE_UNAVAILABLE
