"""The tokens that runs call the platform with.

A token names its execution and is signed: nothing is kept of it, and it is as good after a restart of the
platform as before. Whether the execution is over is for whoever checks to look up.
"""

from __future__ import annotations

from mapi.domain.run import ExecutionId
from mapi.platform.keyring import Keyring

_PREFIX = "run."


class RunTokens:
    """Makes tokens, and knows them again."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def issue(self, execution: ExecutionId) -> str:
        """Return the token of an execution."""
        message = f"{_PREFIX}{execution.run_id}.{execution.resumption}"
        return f"{message}.{self._keyring.sign(message)}"

    def execution(self, token: str) -> ExecutionId | None:
        """Return the execution a token was issued for, or None for what is no such token."""
        message, _, signature = token.rpartition(".")
        if not message.startswith(_PREFIX) or not self._keyring.is_signed(message, signature):
            return None
        run_id, _, resumption = message.removeprefix(_PREFIX).rpartition(".")
        return ExecutionId(run_id, int(resumption))
