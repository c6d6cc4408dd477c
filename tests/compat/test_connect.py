"""A shell in a run, opened by the published clients."""

from __future__ import annotations

from tests.compat.calls import shows
from tests.compat.published import Published


@shows("mcli connect --command")
def test_a_command_is_executed_in_a_run(client: Published) -> None:
    name = client.create("export INSIDE=yes; sleep 60", env_variables=[{"key": "GREETING", "value": "hello"}])
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    connected = client.cli("connect", name, "--command", "echo $GREETING from $RUN_NAME")
    assert connected.code == 0, connected
    assert f"hello from {name}" in connected.text


@shows("mcli connect")
def test_a_shell_is_opened_at_a_terminal(client: Published) -> None:
    name = client.create("sleep 60")
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    code, seen = client.on_terminal(
        "connect", name, typed="echo $((6*7)) in $RUN_NAME\nexit\n", until="/work"
    )
    assert code == 0, seen
    assert f"42 in {name}" in seen


@shows("MintShell.execute")
def test_a_command_is_executed_from_python(client: Published) -> None:
    client.create("sleep 60")
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    client("from mcli.api.mint.shell import MintShell")
    assert "hello" in client("MintShell(run.name, rank=0).execute('echo hello')")


@shows("mcli connect --command")
def test_a_run_that_is_not_there_has_no_shell(client: Published) -> None:
    refused = client.cli("connect", "no-such-run", "--command", "true")
    assert refused.code == 1
    assert "no-such-run" in refused.text and "Traceback" not in refused.text
