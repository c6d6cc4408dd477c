"""A shell in a run, opened by the published clients."""

from __future__ import annotations

import pytest

from tests.compat.calls import LATER
from tests.compat.published import Published

pytestmark = pytest.mark.xfail(reason="this platform opens no shells yet", strict=False)


@pytest.mark.parametrize("client", LATER, indirect=True)
def test_a_command_is_executed_in_a_run(client: Published) -> None:
    name = client.create("export INSIDE=yes; sleep 60", env_variables=[{"key": "GREETING", "value": "hello"}])
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    connected = client.cli("connect", name, "--command", "echo $GREETING from $RUN_NAME")
    assert connected.code == 0, connected
    assert f"hello from {name}" in connected.text


@pytest.mark.parametrize("client", LATER, indirect=True)
def test_a_shell_is_opened_and_ends_with_the_run(client: Published) -> None:
    name = client.create("sleep 1")
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    connected = client.cli("connect", name)
    assert connected.code == 0, connected


@pytest.mark.parametrize("client", LATER, indirect=True)
def test_a_command_is_executed_from_python(client: Published) -> None:
    client.create("sleep 60")
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    client("from mcli.api.mint.shell import MintShell")
    assert "hello" in client("MintShell(run.name, rank=0).execute('echo hello')")


@pytest.mark.parametrize("client", LATER, indirect=True)
def test_a_run_that_is_not_there_has_no_shell(client: Published) -> None:
    refused = client.cli("connect", "no-such-run", "--command", "true")
    assert refused.code == 1
    assert "no-such-run" in refused.text and "Traceback" not in refused.text
