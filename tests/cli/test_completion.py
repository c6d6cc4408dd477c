"""Pressing Tab, in the shells themselves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PROGRAM, Terminal

if TYPE_CHECKING:
    from tests.cli.conftest import Mcli

PATH = str(Path(PROGRAM).parent)

ASK_BASH = """\
eval "$(mcli completion bash)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
_python_argcomplete mcli
printf '%s\\n' "${COMPREPLY[@]}"
"""


def shell(mcli: Mcli, *command: str) -> list[str]:
    environment = {**mcli.environment, "PATH": f"{PATH}:{mcli.environment['PATH']}"}
    ended = subprocess.run(
        command, env=environment, cwd=mcli.directory, capture_output=True, text=True, timeout=60, check=True
    )
    return [line.strip() for line in ended.stdout.splitlines() if line.strip()]


def bash(mcli: Mcli, line: str) -> list[str]:
    """What bash offers when Tab is pressed at the end of a line."""
    return shell(mcli, "bash", "--norc", "-c", ASK_BASH, "bash", line)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mcli desc", ["describe"]),
        ("mcli get cl", ["clusters", "cluster"]),
        ("mcli g ru", ["runs", "run"]),
        ("mcli run --fol", ["--follow"]),
        ("mcli get runs --exp", ["--expanded"]),
        ("mcli get runs --status comp", ["completed"]),
        ("mcli completion z", ["zsh"]),
        ("mcli get runs -o j", ["json"]),
    ],
)
def test_bash_completes_commands_flags_and_values(offline: Mcli, line: str, offered: list[str]) -> None:
    assert sorted(bash(offline, line)) == sorted(offered)


def test_names_of_runs_and_clusters_are_completed(mcli: Mcli) -> None:
    name = mcli.submit("true", "completed-by-tab")
    for words in ("logs", "log", "describe run", "stop run", "run --restart", "get runs", "diff run x"):
        assert bash(mcli, f"mcli {words} completed-by") == [name]
    assert bash(mcli, "mcli util lo") == ["local"]


def test_files_are_completed_where_files_are_meant(mcli: Mcli) -> None:
    (mcli.directory / "a-file.yaml").touch()
    assert bash(mcli, "mcli run -f a-fi") == ["a-file.yaml"]


def test_pressing_tab_starts_no_platform_and_never_fails(offline: Mcli) -> None:
    assert bash(offline, "mcli logs x") == []
    assert not (offline.directory / "config" / "platform").exists()
    offline.environment |= {"MOSAICML_API_ENDPOINT": "http://127.0.0.1:9/", "MOSAICML_API_KEY": "k"}
    assert bash(offline, "mcli logs x") == []


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_commands_and_names(mcli: Mcli) -> None:
    name = mcli.submit("true", "completed-by-fish")
    for line, offered in (("mcli desc", "describe"), ("mcli logs completed-by-f", name)):
        found = shell(
            mcli, "fish", "--no-config", "-c", f"mcli completion fish | source; complete -C '{line}'"
        )
        assert [each.split("\t")[0] for each in found] == [offered]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_commands_and_names(mcli: Mcli) -> None:
    name = mcli.submit("true", "completed-by-zsh")
    environment = {**mcli.environment, "PATH": f"{PATH}:{mcli.environment['PATH']}", "PS1": "ready> "}
    with Terminal(["zsh", "-f", "-i"], mcli.directory, environment, 120, 24) as terminal:
        terminal.wait_for("ready> ")
        terminal.press(
            "autoload -Uz compinit; compinit -u -D; eval \"$(mcli completion zsh)\"; echo set'-'up\n"
        )
        terminal.wait_for("set-up")
        terminal.wait_for("set-up(?s:.*)ready> ")
        terminal.press("mcli logs completed-by-z\t")
        terminal.wait_for(name.removeprefix("completed-by-z"))


def test_it_costs_nothing_when_nobody_completes(offline: Mcli) -> None:
    loaded = offline.python(
        "import sys; from mcli.cli.main import main; main(['config']); print(*sys.modules)"
    )
    assert "argcomplete" not in loaded
