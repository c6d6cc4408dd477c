"""How the end of a command is put into words, the same on every kind of cluster."""

from __future__ import annotations

import signal


def exit_reason(code: int | None, number: int | None = None) -> str | None:
    """Say how a command ended.

    Args:
        code: as a shell reports it.
        number: the signal that ended the command itself, if one did.
    """
    if not code:
        return None
    if signal.SIGKILL in (number, code - 128):
        return "killed (signal 9): by force, or because the machine ran out of memory"
    if number:
        return f"killed by {_signal_name(number)} (signal {number})"
    return f"exit code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"
