"""Which platform to use, and with which key.

The first of these that names a platform is used:

    1. the environment    MOSAICML_API_ENDPOINT, MOSAICML_MINT_ENDPOINT
    2. the config file    the same names, in <config dir>/mcli_config (YAML)
    3. this machine       the platform in the background, started if it is not there

The key for 1 and 2 is MOSAICML_API_KEY, from the environment (even if it is empty there) or the config file;
without one, the access token in the file that MOSAICML_ACCESS_TOKEN_FILE names. The platform on this machine
brings its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from mcli.api.exceptions import MCLIConfigError

if TYPE_CHECKING:
    from mcli.embedded import PlatformInfo

_ENDPOINT = "MOSAICML_API_ENDPOINT"
_MINT = "MOSAICML_MINT_ENDPOINT"
_KEY = "MOSAICML_API_KEY"
_TOKEN_FILE = "MOSAICML_ACCESS_TOKEN_FILE"


class Target(NamedTuple):
    """A platform, and the key to it.

    Attributes:
        endpoint: URL of its GraphQL API, http or https.
        api_key: value of the `Authorization` header.
        mint_endpoint: URL of its shells, ws or wss.
        directory: for the platform on this machine, which is started when it is not there: the directory
            of the configuration it belongs to.
    """

    endpoint: str
    api_key: str
    mint_endpoint: str
    directory: Path | None = None


def config_dir() -> Path:
    """Return the directory with everything this package keeps: MCLI_CONFIG_DIR, else `~/.mosaic`."""
    return Path(os.environ.get("MCLI_CONFIG_DIR") or "~/.mosaic").expanduser()


def config_path() -> Path:
    """Return the config file: MCLI_CONFIG_PATH, else `mcli_config` in the config directory."""
    chosen = os.environ.get("MCLI_CONFIG_PATH")
    return Path(chosen).expanduser() if chosen else config_dir() / "mcli_config"


#: The platform on this machine, once found, by config directory.
_embedded: dict[Path, PlatformInfo] = {}


def resolve_target() -> Target:
    """Return the platform to use; the platform on this machine is started if it is the one and not there.

    Raises:
        MCLIConfigError: a platform is named but no key, or a setting is not what it should be.
        MCLIException: the platform on this machine could not be started.
    """
    settings = read_config()
    endpoint = os.environ.get(_ENDPOINT) or settings.get(_ENDPOINT)
    if not endpoint:
        return _embedded_target()
    parts = urlsplit(str(endpoint))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MCLIConfigError(f"{_ENDPOINT}: {endpoint!r} is no URL such as https://mapi.example.org/graphql")
    mint = os.environ.get(_MINT) or settings.get(_MINT)
    if not mint:
        mint = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/v1/shell"
    return Target(str(endpoint), _authorization(str(endpoint), settings), str(mint))


def renewed(target: Target) -> Target:
    """Return where a platform is that did not answer where it was; the one on this machine is started.

    A call goes to one platform, however often it is tried: what the environment names by now is for the next.
    """
    if target.directory is None or target.directory != config_dir():
        return target
    _embedded.pop(target.directory, None)
    return _embedded_target()


def read_config() -> dict[str, Any]:
    """Return what the config file holds; nothing if there is none.

    Raises:
        MCLIConfigError: the file cannot be read, or does not hold a YAML mapping.
    """
    path = config_path()
    try:
        stamp = path.stat()
        return dict(_parsed(path, (stamp.st_mtime_ns, stamp.st_ino, stamp.st_size)))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise MCLIConfigError(f"{path}: {error}") from error


@lru_cache(maxsize=1)
def _parsed(path: Path, stamp: tuple[int, ...]) -> Mapping[str, Any]:
    """Return what the file holds; `stamp` changes when the file does, so that it is read once."""
    text = path.read_text(encoding="utf-8")
    import yaml

    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except yaml.YAMLError as error:
        raise MCLIConfigError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise MCLIConfigError(f"{path}: expected lines such as '{_KEY}: <your key>'")
    return content


def set_api_key(api_key: str) -> None:
    """Keep an API key in the config file; everything else in the file stays.

    Raises:
        MCLIConfigError: the key is empty, or the file that is there cannot be read.
    """
    if not api_key or not api_key.strip():
        raise MCLIConfigError(f"{_KEY}: the key is empty")
    _write_config({**read_config(), _KEY: api_key.strip()})


def set_feature(name: str, enabled: bool) -> None:
    """Switch a feature of published clients on or off in the config file that they share with this one.

    Raises:
        MCLIConfigError: the file that is there cannot be read.
    """
    settings = read_config()
    features = {**(settings.get("feature_flags") or {}), name.strip().upper().replace("-", "_"): enabled}
    _write_config({**settings, "feature_flags": features})


def initialize(api_key: str | None = None) -> None:
    """Prepare this machine for use:

    Make the config file if there is none, and keep `api_key` in it if given.
    """
    if api_key is not None:
        set_api_key(api_key)
    elif not config_path().exists():
        _write_config({})


def _write_config(content: Mapping[str, Any]) -> None:
    """Replace the config file in one step; only its owner can read it."""
    import tempfile

    import yaml

    path = config_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yaml.safe_dump(dict(content), file, sort_keys=False, allow_unicode=True)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _authorization(endpoint: str, settings: Mapping[str, Any]) -> str:
    key = os.environ[_KEY] if _KEY in os.environ else settings.get(_KEY)
    if key:
        return str(key)
    token_file = os.environ.get(_TOKEN_FILE)
    if not token_file:
        raise MCLIConfigError(
            f"No API key for {endpoint}: set {_KEY}, or keep one with 'mcli set api-key <key>', "
            f"or name a file with an access token in {_TOKEN_FILE}"
        )
    try:
        token = Path(token_file).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise MCLIConfigError(f"{_TOKEN_FILE}: {token_file}: {error.strerror}") from error
    if not token:
        raise MCLIConfigError(f"{_TOKEN_FILE}: {token_file} is empty")
    return f"Bearer {token}"


def _embedded_target() -> Target:
    directory = config_dir()
    info = _embedded.get(directory)
    if info is None:
        from mcli import embedded

        info = _embedded[directory] = embedded.ensure_running()
    return Target(info.endpoint, info.api_key, info.mint_endpoint, directory)
