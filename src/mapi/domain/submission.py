"""From what a client sent to a checked `RunSpec`: every problem found at once, in the user's words.

The fields and their spellings are those of the protocol's `runInput`; both the flat form (`gpuNum`,
`cluster` …) and the nested one (`compute`) are taken, and `0`, `{}`, `''` and null mean "not said".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from mapi.domain.errors import REQUIRED, BadRunRequest
from mapi.domain.run import Compute, Json, RunSpec, Scheduling
from mcli.models.run_name import RULE, is_legal, legal_name

T = TypeVar("T")

#: A single argument of a program, and a single variable, on Linux (MAX_ARG_STRLEN less its end).
MAX_STRING = 128 * 1024 - 1

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_FIELDS = frozenset(
    "runName name image command entrypoint gpuType gpuNum cpus cluster compute scheduling integrations "
    "envVariables parameters metadata parentName dependentDeployment partitions optimizationLevel "
    "run_id runId runType".split()
)
_COMPUTE = frozenset("cluster instance nodes nodeNames gpus gpuType cpus".split())
_SCHEDULING = frozenset(
    "priority preemptible maxRetries retryOnSystemFailure watchdogEnabled maxDuration "
    "resumable priorityInt".split()
)

#: Integrations of the platform, with the parameter each cannot do without.
INTEGRATIONS: dict[str, str | None] = {
    "git_repo": "gitRepo",
    "pip_packages": "packages",
    "apt_packages": "packages",
    "wandb": None,
    "comet_ml": None,
    "mlflow": "experimentName",
}


class Submission(msgspec.Struct, frozen=True):
    """A checked configuration with what the user attached to it."""

    spec: RunSpec
    metadata: dict[str, Json]


def parse_submission(run_input: Mapping[str, Json], *, run_type: str = "TRAINING") -> Submission:
    """Check a `runInput` and return what it asks for.

    Args:
        run_input: the configuration as it came over the wire, camelCase.
        run_type: TRAINING, INTERACTIVE …

    Raises:
        BadRunRequest: with every problem there is. A missing field reads `<wireName> is a required field`,
            which the published clients translate into their user's names.
    """
    check = _Check(run_input)
    check.known("", run_input, _FIELDS)
    compute = check.mapping("compute")
    check.known("compute.", compute, _COMPUTE)
    scheduling = check.mapping("scheduling")
    check.known("scheduling.", scheduling, _SCHEDULING)
    if check.mapping("dependentDeployment"):
        check.problem("dependent_deployment is not supported: remove it")

    spec = RunSpec(
        name=check.name(),
        image=check.text("image", required=True),
        command=check.command(),
        compute=check.compute(compute),
        scheduling=check.scheduling(scheduling),
        env=check.env(),
        integrations=check.integrations(),
        parameters=check.mapping("parameters"),
        parent_name=check.text("parentName") or None,
        run_type=run_type,
    )
    metadata = check.mapping("metadata")
    if check.problems:
        raise BadRunRequest(check.problems)
    return Submission(spec, metadata)


def parse_max_duration(hours: Json, field: str, problem: Callable[[str], None]) -> int | None:
    """Hours to whole seconds; anything but a positive number goes to `problem`."""
    if hours is None:
        return None
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours < 1e6:
        problem(f"{field} must be a positive number of hours, not {hours!r}")
        return None
    return max(1, int(hours * 3600))


class _Check:
    """Reads fields one by one and collects what is wrong with them."""

    def __init__(self, run_input: Mapping[str, Json]) -> None:
        self._input = run_input
        self.problems: list[str] = []

    def problem(self, text: str) -> None:
        self.problems.append(text)

    def known(self, prefix: str, given: Mapping[str, Json], accepted: Iterable[str]) -> None:
        for key in given:
            if key not in accepted:
                close = difflib.get_close_matches(key, sorted(accepted), n=1)
                hint = (
                    f"did you mean {prefix}{snake(close[0])}?" if close else f"accepted: {_listed(accepted)}"
                )
                self.problem(f"{prefix}{snake(key)} is not a known field; {hint}")

    def text(self, field: str, *, required: bool = False) -> str:
        value = self._input.get(field)
        if value is None or value == "":
            if required:
                self.problem(field + REQUIRED)
            return ""
        if not isinstance(value, str):
            self.problem(f"{snake(field)} must be text, not {value!r}")
            return ""
        return value

    def mapping(self, field: str) -> dict[str, Json]:
        value = self._input.get(field)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problem(f"{snake(field)} must be a mapping of names to values, not {value!r}")
            return {}
        return value

    def items(self, field: str) -> list[Json]:
        value = self._input.get(field)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(f"{snake(field)} must be a list, not {value!r}")
            return []
        return value

    def name(self) -> str:
        name = self.text("runName") or self.text("name")
        if not name:
            self.problem("runName" + REQUIRED)
        elif not is_legal(name):
            self.problem(f"name {name!r} must be {RULE}; for example {legal_name(name)!r}")
        return name

    def command(self) -> str:
        command, entrypoint = self.text("command").strip(), self.text("entrypoint").strip()
        if command and entrypoint:
            self.problem("command and entrypoint exclude each other: give one of them")
        if entrypoint:
            command = f"composer {entrypoint} -f /mnt/config/parameters.yaml"
        if not command:
            self.problem("command" + REQUIRED)
        self.fits("command", command)
        return command

    def fits(self, field: str, text: str) -> None:
        if len(text.encode("utf-8", "surrogatepass")) > MAX_STRING:
            self.problem(f"{field} is longer than the {MAX_STRING} bytes a program can be given")
        elif "\0" in text:
            self.problem(f"{field} holds a NUL character, which no program can be given")

    def count(self, field: str, value: Json, *, least: int = 1) -> int | None:
        """A whole number; 0 and null mean not said."""
        if value is None or (value == 0 and not isinstance(value, bool)):
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.problem(f"{field} must be a whole number, at least {least}, not {value!r}")
            return None
        return value

    def one_of(self, name: str, nested: T | None, flat: T | None) -> T | None:
        """The nested value, or the flat one; two that differ are a contradiction."""
        if nested is not None and flat is not None and nested != flat:
            self.problem(f"{name} is given twice and differs: {flat!r}, and {nested!r} in compute")
        return nested if nested is not None else flat

    def word(self, field: str, value: Json) -> str | None:
        if value is None or value == "":
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # gpu_type: 3090
        if not isinstance(value, str):
            self.problem(f"{field} must be text, not {value!r}")
            return None
        return value

    def compute(self, nested: Mapping[str, Json]) -> Compute:
        flat = self._input
        names = nested.get("nodeNames") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.problem(f"compute.node_names must be a list of names, not {names!r}")
            names = []
        return Compute(
            cluster=self.one_of(
                "cluster",
                self.word("compute.cluster", nested.get("cluster")),
                self.word("cluster", flat.get("cluster")),
            ),
            instance=self.word("compute.instance", nested.get("instance")),
            nodes=self.count("compute.nodes", nested.get("nodes")),
            gpus=self.one_of(
                "gpus",
                # GPUs in `compute` may be 0 on purpose: a run on CPUs
                0 if nested.get("gpus") == 0 else self.count("compute.gpus", nested.get("gpus")),
                self.count("gpu_num", flat.get("gpuNum")),
            ),
            gpu_type=self.one_of(
                "gpu_type",
                self.word("compute.gpu_type", nested.get("gpuType")),
                self.word("gpu_type", flat.get("gpuType")),
            ),
            cpus=self.one_of(
                "cpus", self.count("compute.cpus", nested.get("cpus")), self.count("cpus", flat.get("cpus"))
            ),
            node_names=tuple(names),
        )

    def scheduling(self, given: Mapping[str, Json]) -> Scheduling:
        watchdog = given.get("retryOnSystemFailure")
        if watchdog is None:
            watchdog = given.get("watchdogEnabled")
        return Scheduling(
            priority=self.word("scheduling.priority", given.get("priority")) or "auto",
            preemptible=self.flag("scheduling.preemptible", given.get("preemptible")),
            max_retries=self.count("scheduling.max_retries", given.get("maxRetries")) or 0,
            retry_on_system_failure=self.flag("scheduling.retry_on_system_failure", watchdog),
            max_duration_seconds=parse_max_duration(
                given.get("maxDuration"), "scheduling.max_duration", self.problem
            ),
        )

    def flag(self, field: str, value: Json) -> bool:
        if value is None:
            return False
        if not isinstance(value, bool):
            self.problem(f"{field} must be true or false, not {value!r}")
            return False
        return value

    def env(self) -> dict[str, str]:
        env: dict[str, str] = {}
        for place, item in enumerate(self.items("envVariables")):
            key = item.get("envKey") if isinstance(item, dict) else None
            if not isinstance(item, dict) or not isinstance(key, str) or "envValue" not in item:
                self.problem(f"env_variables[{place}] must have a key and a value, not {item!r}")
                continue
            value = item["envValue"]
            if not _VARIABLE.fullmatch(key):
                self.problem(f"env_variables: {key!r} is no name of a variable (letters, digits and '_')")
            if isinstance(value, dict | list) or value is None:
                self.problem(f"env_variables.{key} must be text, not {value!r}")
                continue
            env[key] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            self.fits(f"env_variables.{key}", f"{key}={env[key]}")
        return env

    def integrations(self) -> tuple[dict[str, Json], ...]:
        found = []
        for place, item in enumerate(self.items("integrations")):
            kind = item.get("type") if isinstance(item, dict) else None
            params = item.get("params") or {} if isinstance(item, dict) else {}
            if not isinstance(kind, str) or not isinstance(params, dict):
                self.problem(f"integrations[{place}] must have an integration_type, not {item!r}")
                continue
            if kind not in INTEGRATIONS:
                hint = _hint(kind, INTEGRATIONS)
                self.problem(f"integrations[{place}].integration_type {kind!r} is not known; {hint}")
                continue
            needed = INTEGRATIONS[kind]
            if needed and not params.get(needed):
                self.problem(f"integrations[{place}] ({kind}): {snake(needed)} is missing")
            found.append({"type": kind, "params": params})
        return tuple(found)


def snake(name: str) -> str:
    """`gpuType` → `gpu_type`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _hint(word: str, accepted: Iterable[str], prefix: str = "") -> str:
    """The nearest accepted word, or all of them."""
    close = difflib.get_close_matches(word, sorted(accepted), n=1)
    return f"did you mean {prefix}{snake(close[0])}?" if close else f"accepted: {_listed(accepted)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(snake(name) for name in names))
