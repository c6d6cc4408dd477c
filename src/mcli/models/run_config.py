"""What a person writes to describe a run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from mcli.api.exceptions import MCLIRunConfigValidationError
from mcli.models import config_wire
from mcli.models.naming import snake, suggestion
from mcli.models.scheduling_config import ComputeConfig, SchedulingConfig

#: Older names of fields; the newer name wins where both are given.
_ALIASES = {"run_name": "name", "platform": "cluster"}

#: Blocks whose keys are known; others are sent all the same, since the platform may know them.
_BLOCKS: dict[str, frozenset[str]] = {
    "compute": frozenset(ComputeConfig.__annotations__),
    "scheduling": frozenset({*SchedulingConfig.__annotations__, "resumable", "watchdog_enabled"}),
}

_MAPPINGS = ("compute", "scheduling", "parameters", "metadata", "dependent_deployment")
_LISTS = ("integrations", "env_variables")

#: A field that is not given has one of these values.
_EMPTY: dict[str, Any] = {"command": "", "entrypoint": ""}


class RunConfig:
    """A run configuration.

    Values in here are not yet validated and some required values may be missing.

    Args:
        run_name: older name of `name`.
        name: name of the run; the platform makes it unique by adding to it.
        gpu_type: type of GPU; optional if the cluster has only one.
        gpu_num: number of GPUs over all nodes. `compute` says more.
        cpus: number of CPUs.
        platform: older name of `cluster`.
        cluster: cluster to use; optional if there is only one.
        image: container image, for example `mosaicml/composer`.
        partitions: partitions of the cluster to use.
        optimization_level: kept for configurations that have it.
        integrations: what to set up before the command; each a mapping with an `integration_type`.
        env_variables: environment variables: `[{"key": NAME, "value": value}]`, `[{NAME: value}]` or `{NAME:
            value}`.
        scheduling: priority, preemptible, max_retries, retry_on_system_failure, max_duration (hours).
        command: what runs.
        parameters: mounted into the run as `/mnt/config/parameters.yaml`.
        entrypoint: alternative to `command`: a script for the `composer` launcher, given the parameters file.
        compute: cluster, instance, nodes, node_names, gpus, gpu_type, cpus.
        metadata: anything to keep with the run.
        dependent_deployment: a second container beside the run.
        parent_name: the run that submitted this one; known by itself inside a run.
    """

    name: str | None
    gpu_type: str | None
    gpu_num: int | None
    cpus: int | None
    cluster: str | None
    image: str | None
    partitions: list[str] | None
    optimization_level: int | None
    integrations: list[dict[str, Any]]
    env_variables: Any
    scheduling: SchedulingConfig | dict[str, Any]
    command: str
    parameters: dict[str, Any]
    entrypoint: str
    compute: ComputeConfig | dict[str, Any]
    metadata: dict[str, Any]
    dependent_deployment: dict[str, Any]
    parent_name: str | None

    def __init__(  # noqa: PLR0917 - the order its users know
        self,
        run_name: str | None = None,
        name: str | None = None,
        gpu_type: str | int | None = None,
        gpu_num: int | None = None,
        cpus: int | None = None,
        platform: str | None = None,
        cluster: str | None = None,
        image: str | None = None,
        partitions: list[str] | None = None,
        optimization_level: int | None = None,
        integrations: list[dict[str, Any]] | None = None,
        env_variables: list[dict[str, str]] | dict[str, str] | None = None,
        scheduling: SchedulingConfig | dict[str, Any] | None = None,
        command: str = "",
        parameters: dict[str, Any] | None = None,
        entrypoint: str = "",
        *,
        compute: ComputeConfig | dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        dependent_deployment: dict[str, Any] | None = None,
        parent_name: str | None = None,
    ) -> None:
        values: dict[str, Any] = {
            "name": name if name is not None else run_name,
            "gpu_type": gpu_type,
            "gpu_num": gpu_num,
            "cpus": cpus,
            "cluster": cluster if cluster is not None else platform,
            "image": image,
            "partitions": partitions,
            "optimization_level": optimization_level,
            "integrations": integrations,
            "env_variables": env_variables,
            "scheduling": scheduling,
            "command": command,
            "parameters": parameters,
            "entrypoint": entrypoint,
            "compute": compute,
            "metadata": metadata,
            "dependent_deployment": dependent_deployment,
            "parent_name": parent_name,
        }
        for field, value in values.items():
            setattr(self, field, value)

    @classmethod
    def empty(cls) -> Self:
        """Return a configuration that says nothing."""
        return cls()

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a configuration from a YAML file.

        Raises:
            MCLIRunConfigValidationError: there is no such file, or it does not hold a configuration; the
                message names the file and, where it can, the line.
        """
        from mcli.models import config_yaml

        return cls.from_dict(config_yaml.read(path))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a configuration from values by field name; unknown names are warned about and left out.

        Raises:
            MCLIRunConfigValidationError: a block is not a mapping, or a list is not a list.
        """
        known: dict[str, Any] = {}
        for name, value in values.items():
            if name not in config_wire.FIELDS and name not in _ALIASES:
                warnings.warn(
                    f"Unknown field {name!r} is ignored{_field_suggestion(str(name))}", stacklevel=3
                )
                continue
            if value is not None:
                known[name] = value
        for name in _MAPPINGS:
            if not isinstance(known.get(name, {}), Mapping):
                raise MCLIRunConfigValidationError(f"{name}: expected a mapping, got {known[name]!r}")
        for name in _LISTS:
            if not isinstance(known.get(name, []), list | tuple | Mapping):
                raise MCLIRunConfigValidationError(f"{name}: expected a list, got {known[name]!r}")
        return cls(**known)

    @classmethod
    def from_wire(cls, run_input: Mapping[str, Any]) -> Self:
        """Read a configuration as the platform sends it."""
        config = cls()
        vars(config).update(config_wire.from_wire(run_input))
        return config

    def to_wire(self) -> dict[str, Any]:
        """Return the `runInput` that asks for this run; nothing in it is shared with the configuration.

        Raises:
            MCLIRunConfigValidationError: a field has a form that cannot be sent.
        """
        return config_wire.to_wire(vars(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are set, by name, in the order they are written in."""
        return {name: getattr(self, name) for name in config_wire.FIELDS if getattr(self, name)}

    def to_file(self, path: str | Path) -> None:
        """Write the configuration as YAML; `from_file` reads it back."""
        Path(path).expanduser().write_text(str(self), encoding="utf-8")

    @property
    def run_name(self) -> str | None:
        """Older name of `name`."""
        return self.name

    @run_name.setter
    def run_name(self, value: str | None) -> None:
        self.name = value

    @property
    def platform(self) -> str | None:
        """Older name of `cluster`."""
        return self.cluster

    @platform.setter
    def platform(self, value: str | None) -> None:
        self.cluster = value

    @property
    def gpus(self) -> int | None:
        """Number of GPUs over all nodes:

        `compute.gpus`, else `gpu_num`. Setting it leaves one answer, in `compute`.
        """
        gpus: int | None = self.compute.get("gpus", self.gpu_num)
        return gpus

    @gpus.setter
    def gpus(self, value: int | None) -> None:
        self.gpu_num = None
        self._set_compute("gpus", value)

    @property
    def nodes(self) -> int | None:
        """Number of nodes: `compute.nodes`."""
        return self.compute.get("nodes")

    @nodes.setter
    def nodes(self, value: int | None) -> None:
        self._set_compute("nodes", value)

    @property
    def instance(self) -> str | None:
        """Kind of node: `compute.instance`."""
        return self.compute.get("instance")

    @instance.setter
    def instance(self, value: str | None) -> None:
        self._set_compute("instance", value)

    def _set_compute(self, key: str, value: Any) -> None:
        # A new mapping: the old one may be shared with another configuration.
        others = {name: item for name, item in self.compute.items() if name != key}
        self.compute = others if value is None else {**others, key: value}

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in config_wire.FIELDS and not isinstance(getattr(type(self), name, None), property):
            warnings.warn(
                f"RunConfig has no field {name!r}: it will not be part of the run{_field_suggestion(name)}",
                stacklevel=2,
            )
        if name in _BLOCKS and isinstance(value, Mapping):
            for key in value:
                if snake(str(key)) not in _BLOCKS[name]:
                    hint = suggestion(str(key), _BLOCKS[name])
                    warnings.warn(f"Unknown field '{name}.{key}'{hint}", stacklevel=3)
        if name == "gpu_type" and isinstance(value, int):
            value = str(value)
        if value is None:
            value = {} if name in _MAPPINGS else [] if name in _LISTS else _EMPTY.get(name)
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        """Two configurations are equal if they ask for the same thing, in whichever form they say it."""
        if not isinstance(other, RunConfig):
            return NotImplemented
        if vars(self) == vars(other):
            return True
        try:
            return self.to_wire() == other.to_wire()
        except MCLIRunConfigValidationError:
            return False

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RunConfig({', '.join(f'{name}={value!r}' for name, value in self.to_dict().items())})"

    def __str__(self) -> str:
        from mcli.models import config_yaml

        return config_yaml.dump(config_wire.jsonable(self.to_dict(), "run configuration"))


#: A configuration as the platform completed it.
FinalRunConfig = RunConfig


def _field_suggestion(name: str) -> str:
    """Return what a mistyped or misplaced field may have meant: `gpus` belongs into `compute`."""
    for block, keys in _BLOCKS.items():
        if name in keys:
            return f"; did you mean '{block}.{name}'?"
    properties = [key for key, value in vars(RunConfig).items() if isinstance(value, property)]
    return suggestion(name, [*config_wire.FIELDS, *properties])
