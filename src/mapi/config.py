"""The server's configuration: a file, then the environment, then flags; the later wins.

host: 127.0.0.1
clusters:
  local:
    kind: local
    shared_slots: 8
    pretend:
      - {name: node, gpu_type: a100_80gb, gpus: 8, cpus: 64, count: 2}
  lab:
    kind: kubernetes
    context: lab
    namespace: training
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml

from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.clusters.local.settings import LocalSettings

#: The file that is read when none is named, in the home directory.
FILE = "mapi.yaml"
PREFIX = "MAPI_"


class ConfigError(Exception):
    """The configuration cannot be used; the message says where and why."""


class LocalCluster(
    LocalSettings, frozen=True, tag="local", tag_field="kind", kw_only=True, forbid_unknown_fields=True
):
    """This machine."""


class KubernetesCluster(
    KubernetesSettings,
    frozen=True,
    tag="kubernetes",
    tag_field="kind",
    kw_only=True,
    forbid_unknown_fields=True,
):
    """A namespace of a Kubernetes cluster."""


#: What may be said about a cluster, by its kind.
ClusterSettings = LocalCluster | KubernetesCluster


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the server runs with.

    `home`: where all state is kept. `port`: 0 means a free one, the same again after a restart.
    `database`: an SQLAlchemy URL; empty means SQLite in the home directory. `grace_seconds`: between the
    gentle signal and the hard one when a run is stopped. `public_url`: how clients reach the server, where
    that is not http://host:port.
    """

    home: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    database: str = ""
    grace_seconds: float = 30.0
    public_url: str = ""
    log_level: str = "info"
    clusters: dict[str, ClusterSettings] = msgspec.field(default_factory=lambda: {"local": LocalCluster()})

    @property
    def home_path(self) -> Path:
        """The home directory, absolute."""
        return Path(self.home).expanduser().absolute()

    @property
    def database_url(self) -> str:
        """Where the run database is."""
        return self.database or f"sqlite:///{self.home_path / 'platform.db'}"


class Loaded(msgspec.Struct, frozen=True):
    """A configuration, and where each value came from."""

    config: Config
    origins: dict[str, str]


def load(
    flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ, file: str | None = None
) -> Loaded:
    """Read the configuration.

    Args:
        flags: what the command line gave; None values were not given.
        environment: `MAPI_HOST`, `MAPI_PORT` … are read from it.
        file: the configuration file; by default `mapi.yaml` in the home directory, if it is there.

    Raises:
        ConfigError: naming the source, the field and what is accepted.
    """
    file = file or environment.get(f"{PREFIX}CONFIG")
    values: dict[str, Any] = {"home": str(default_home(environment))}
    origins = {"home": "MCLI_CONFIG_DIR"} if environment.get("MCLI_CONFIG_DIR") else {}

    def take(source: Mapping[str, Any], origin: str) -> None:
        for name, value in source.items():
            values[name] = value
            origins[name] = origin

    simple = [name for name in Config.__struct_fields__ if name != "clusters"]
    from_environment = {
        name: environment[key] for name in simple if (key := PREFIX + name.upper()) in environment
    }
    from_flags = {name: value for name, value in flags.items() if value is not None}
    home = Path(from_flags.get("home") or from_environment.get("home") or values["home"]).expanduser()
    path = Path(file).expanduser() if file else home / FILE
    if file or path.exists():
        take(_read(path), str(path))
    for name, value in from_environment.items():
        take({name: value}, f"{PREFIX}{name.upper()}")
    for name, value in from_flags.items():
        take({name: value}, f"--{name.replace('_', '-')}")
    try:
        config = msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explained(error, values, origins)) from None
    return Loaded(config, {name: origins.get(name, "default") for name in Config.__struct_fields__})


@contextmanager
def explained(name: str, settings: ClusterSettings) -> Iterator[None]:
    """Put what goes wrong when the code of a cluster's kind is loaded, and given its settings, into words.

    Args:
        name: of the cluster.
        settings: of the cluster.

    Raises:
        ConfigError: something is not installed, or the settings cannot be used.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = type(settings).__struct_config__.tag
        raise ConfigError(
            f"cluster {name} needs {error.name}, which is not installed: pip install 'mcli-platform[{extra}]'"
        ) from None
    except ValueError as error:
        raise ConfigError(f"cluster {name}: {error}") from None


def default_home(environment: Mapping[str, str] = os.environ) -> Path:
    """The home of the platform that clients on this machine find by themselves."""
    return Path(environment.get("MCLI_CONFIG_DIR") or "~/.mosaic").expanduser() / "platform"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{path} must hold a mapping of names to values, not {found!r}")
    for name in found:
        if name not in Config.__struct_fields__:
            close = difflib.get_close_matches(str(name), Config.__struct_fields__, n=1)
            hint = (
                f"did you mean {close[0]}?" if close else f"accepted: {', '.join(Config.__struct_fields__)}"
            )
            raise ConfigError(f"{path}: {name} is not a known setting; {hint}")
    return found


def _explained(error: msgspec.ValidationError, values: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    """Put the source and the value beside what msgspec says, which ends in ` - at `$.port``."""
    text, _, path = str(error).partition(" - at ")
    name = path.strip("`$.").split(".")[0].split("[")[0]
    place = f"{origins.get(name, 'default')}: {path.strip('`').removeprefix('$.') or name}"
    return f"{place}: {text} (got {values.get(name)!r})"
