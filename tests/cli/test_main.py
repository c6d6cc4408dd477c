"""Which command is meant, what its help says, and what a mistake leads to."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
import yaml

from mcli.cli.main import ALIASES, COMMANDS
from mcli.version import __version__

if TYPE_CHECKING:
    from tests.cli.conftest import Mcli


def modules_after(statements: str) -> set[str]:
    """The modules a fresh interpreter has loaded after these statements."""
    script = f"import sys; {statements}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(offline: Mcli, command: str) -> None:
    said = offline(command, "--help").stdout
    assert f"usage: mcli {command}" in said
    assert f"  mcli {command}" in said.partition("examples:")[2]


def test_every_alias_is_that_of_a_command_and_none_hides_one() -> None:
    assert set(ALIASES.values()) <= set(COMMANDS)
    assert not set(ALIASES) & set(COMMANDS)


def test_the_overview_lists_every_command(offline: Mcli) -> None:
    said = offline("--help").stdout
    assert all(f"  {name}" in said for name in COMMANDS)


def test_no_command_is_a_usage_error_that_shows_the_overview(offline: Mcli) -> None:
    assert "usage: mcli" in offline(code=2).stderr


def test_a_mistyped_command_gets_a_suggestion(offline: Mcli) -> None:
    assert "Did you mean 'describe'?" in offline("descrbe", "run", code=2).stderr


def test_a_mistyped_flag_gets_a_suggestion(offline: Mcli) -> None:
    said = offline("run", "-f", "x.yaml", "--gpuz", "8", code=2).stderr
    assert "--gpuz" in said and "did you mean '--gpus'?" in said
    assert "did you mean '--expanded'?" in offline("get", "runs", "--expandd", code=2).stderr
    assert "did you mean 'clusters'?" in offline("get", "clustrs", code=2).stderr


def test_features_of_published_clients_can_be_switched_in_the_file_they_share(offline: Mcli) -> None:
    offline("set", "feature", "use-mcloud")
    file = offline.directory / "config" / "mcli_config"
    assert yaml.safe_load(file.read_text()) == {"feature_flags": {"USE_MCLOUD": True}}
    offline("unset", "feature", "USE_MCLOUD")
    assert yaml.safe_load(file.read_text()) == {"feature_flags": {"USE_MCLOUD": False}}
    assert "Which feature?" in offline("set", "feature", code=1).stderr


def test_a_mistyped_status_gets_a_suggestion(offline: Mcli) -> None:
    assert "did you mean 'running'?" in offline("get", "runs", "-s", "runing", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["get", "runs", "--limit", "0"], "'0' is not a number from 1 up"),
        (["get", "runs", "--before", "yesterday"], "'yesterday' is not a time"),
        (["get", "runs", "-n", "many"], "'many' is not a list of whole numbers"),
        (["run"], "one of the arguments -f/--file -r/--restart --clone is required"),
        (["get", "cats"], "invalid choice: 'cats'"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(offline: Mcli, arguments: list[str], what: str) -> None:
    assert what in offline(*arguments, code=2).stderr


def test_a_missing_file_is_one_clear_sentence(offline: Mcli) -> None:
    said = offline("run", "-f", "nowhere.yaml", code=1).stderr
    assert said.startswith("mcli: ")
    assert "nowhere.yaml" in said


def test_a_platform_that_is_not_there_is_one_clear_sentence(offline: Mcli) -> None:
    nowhere = {
        "MOSAICML_API_ENDPOINT": "http://127.0.0.1:9/",
        "MOSAICML_API_KEY": "k",
        "MCLI_TIMEOUT": "0.2",
    }
    said = offline("get", "runs", code=1, **nowhere).stderr
    assert said.startswith("mcli: ")
    assert said.count("\n") == 1


def test_the_version_is_told_without_loading_anything(offline: Mcli) -> None:
    assert offline("version").stdout == offline("--version").stdout == f"mcli {__version__}\n"
    script = "import sys; from mcli.cli.main import main; main(['version']); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"argparse", "json", "rich", "http.client", "websockets", "yaml", "dataclasses"} & set(loaded)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_the_parsers_of_no_other_and_draws_nothing_yet(command: str) -> None:
    script = f"import sys; import mcli.cli.{COMMANDS[command][0]}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"rich", "websockets", "yaml", "http.client"} & set(loaded)


def test_every_command_says_what_it_is() -> None:
    for module_name, _ in COMMANDS.values():
        module = import_module(f"mcli.cli.{module_name}")
        assert callable(module.add_arguments)
        assert callable(module.run)


def test_the_settings_are_shown_without_starting_a_platform(offline: Mcli) -> None:
    said = offline("config").stdout
    assert "not running" in said
    assert not (offline.directory / "config" / "platform").exists()


def test_a_key_is_kept_and_never_shown_whole(offline: Mcli) -> None:
    offline("set", "api-key", stdin="0123456789abcdef\n")
    said = offline("config", MOSAICML_API_ENDPOINT="https://mapi.example.org/graphql").stdout
    assert "https://mapi.example.org/graphql" in said
    assert "...cdef" in said
    assert "0123456789" not in said


def test_init_makes_the_file_and_says_what_holds(offline: Mcli) -> None:
    said = offline("init", "--no-input").stdout
    assert str(offline.directory / "config" / "mcli_config") in said
    assert "this machine" in said


def test_init_says_how_to_set_a_key_where_one_is_missing(offline: Mcli) -> None:
    said = offline(
        "init", "--no-input", code=1, MOSAICML_API_ENDPOINT="https://mapi.example.org/graphql"
    ).stderr
    assert "mcli set api-key" in said
