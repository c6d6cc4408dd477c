from __future__ import annotations

import stat
from pathlib import Path

import pytest

import mcli.embedded
from mcli.api.exceptions import MCLIConfigError
from mcli.config import config_dir, config_path, initialize, resolve_target, set_api_key
from mcli.embedded import PlatformInfo

ENDPOINT = "https://mapi.example.org/graphql"


def configure(text: str) -> None:
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(text)


def test_the_environment_names_the_platform_and_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    configure("MOSAICML_API_ENDPOINT: http://other/graphql\nMOSAICML_API_KEY: other\n")
    monkeypatch.setenv("MOSAICML_API_ENDPOINT", ENDPOINT)
    monkeypatch.setenv("MOSAICML_API_KEY", "key")
    target = resolve_target()
    assert (target.endpoint, target.api_key) == (ENDPOINT, "key")
    assert target.mint_endpoint == "wss://mapi.example.org/v1/shell"


def test_the_config_file_names_what_the_environment_does_not() -> None:
    configure(
        f"MOSAICML_API_ENDPOINT: {ENDPOINT}\nMOSAICML_API_KEY: key\nMOSAICML_MINT_ENDPOINT: wss://m/v1\n"
    )
    assert resolve_target()[:3] == (ENDPOINT, "key", "wss://m/v1")


def test_an_empty_key_in_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(f"MOSAICML_API_ENDPOINT: {ENDPOINT}\nMOSAICML_API_KEY: key\n")
    monkeypatch.setenv("MOSAICML_API_KEY", "")
    with pytest.raises(MCLIConfigError):
        resolve_target()
    (tmp_path / "token").write_text(" secret-token\n")
    monkeypatch.setenv("MOSAICML_ACCESS_TOKEN_FILE", str(tmp_path / "token"))
    assert resolve_target().api_key == "Bearer secret-token"


def test_a_platform_without_a_key_is_an_error_that_says_how_to_set_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOSAICML_API_ENDPOINT", ENDPOINT)
    with pytest.raises(MCLIConfigError, match="mcli set api-key"):
        resolve_target()


def test_an_endpoint_that_is_no_url_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOSAICML_API_ENDPOINT", "mapi.example.org")
    with pytest.raises(MCLIConfigError, match=r"MOSAICML_API_ENDPOINT: 'mapi\.example\.org' is no URL"):
        resolve_target()


def test_the_platform_on_this_machine_is_used_when_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    configure("MOSAICML_API_KEY: a key for somewhere else\n")
    info = PlatformInfo("http://127.0.0.1:1/graphql", "ws://127.0.0.1:1/v1/shell", "own-key", "/", 1, "0")
    monkeypatch.setattr(mcli.embedded, "ensure_running", lambda: info)
    target = resolve_target()
    assert (target.endpoint, target.api_key) == (info.endpoint, "own-key")
    assert target.directory == config_dir()


def test_a_key_is_kept_in_a_file_only_its_owner_can_read_beside_what_is_there() -> None:
    configure("feature_flags: {A: true}\nMOSAICML_API_KEY: old\n")
    set_api_key("  new-key ")
    assert config_path().read_text() == "feature_flags:\n  A: true\nMOSAICML_API_KEY: new-key\n"
    assert stat.S_IMODE(config_path().stat().st_mode) == 0o600
    assert [file.name for file in config_path().parent.iterdir()] == ["mcli_config"]


def test_initializing_makes_the_file_and_changes_none() -> None:
    initialize()
    assert config_path().exists()
    initialize(api_key="key")
    initialize()
    assert "MOSAICML_API_KEY: key" in config_path().read_text()


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(MCLIConfigError, match="empty"):
        set_api_key(" ")


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "just text"])
def test_a_config_file_that_is_none_is_named(text: str) -> None:
    configure(text)
    with pytest.raises(MCLIConfigError, match="mcli_config"):
        resolve_target()
