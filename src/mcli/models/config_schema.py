"""The fields of a run configuration as a JSON Schema: what an editor completes and what is checked.

One table for both. `config_check` understands the keywords used here, and no others.
"""

from __future__ import annotations

from typing import Any

from mcli.models.run_name import MAX_NAME, RULE

Schema = dict[str, Any]


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _count(description: str, **more: Any) -> Schema:
    return {"type": "integer", "minimum": 0, "description": description, **more}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _block(description: str, properties: dict[str, Schema], **more: Any) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": False,
        **more,
    }


def _anything(description: str) -> Schema:
    return {"type": "object", "description": description}


_NAMES: Schema = {"type": "array", "items": {"type": "string"}}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}

_GPU_TYPE: Schema = {
    "type": ["string", "integer"],
    "description": "Type of GPU, such as a100_80gb; `none` for a run without GPUs. "
    "Optional if the cluster has only one.",
}

#: Names of priorities, the most urgent first; several mean the same.
PRIORITIES = ("highest", "high", "medium", "standard", "default", "auto", "low", "lowest")

_COMPUTE = {
    "cluster": _text("Where it runs. Optional: the first cluster that can run it is chosen."),
    "instance": _text("Kind of node, as `mcli get clusters` lists them."),
    "nodes": _count("Number of nodes; each gets an equal share of the GPUs."),
    "node_names": {**_NAMES, "description": "The nodes to use, by name, in the order of their ranks."},
    "gpus": _count("GPUs over all nodes."),
    "gpu_type": _GPU_TYPE,
    "cpus": _count("CPUs on each node, for that run alone."),
}

_SCHEDULING = {
    "priority": _text("Its place in line; `auto` where nothing is said.", enum=list(PRIORITIES)),
    "preemptible": _flag("Whether a run of higher priority may push it back into the queue."),
    "max_retries": _count("How often it is tried again when it fails."),
    "retry_on_system_failure": _flag("Whether it is tried again after a failure that is not its own."),
    "watchdog_enabled": _flag("Older name of retry_on_system_failure."),
    "max_duration": {
        "type": "number",
        "exclusiveMinimum": 0,
        "description": "Hours after which it is stopped, such as 0.5.",
    },
    "resumable": _flag("Kept for configurations that have it; means nothing here."),
}

#: What an integration of each kind may say, and what it cannot do without.
INTEGRATIONS: dict[str, tuple[dict[str, Schema], tuple[str, ...]]] = {
    "git_repo": (
        {
            "git_repo": _text("Repository, as organisation/name."),
            "git_branch": _text("Branch to check out."),
            "git_commit": _text("Commit to check out; wins over the branch."),
            "path": _text("Where the clone goes; the repository's name where nothing is said."),
            "ssh_clone": _flag("Whether it is cloned with a key, over ssh."),
            "pip_install": _text("Arguments of a `pip install` inside the clone, such as '-e .'"),
            "host": _text("Where the repository is; github.com where nothing is said."),
            "git_clone_recursive": _flag("Whether submodules are cloned too."),
        },
        ("git_repo",),
    ),
    "pip_packages": (
        {
            "packages": {**_NAMES, "description": "Packages to install."},
            "upgrade": _flag("Whether those that are there already are upgraded."),
        },
        ("packages",),
    ),
    "apt_packages": ({"packages": {**_NAMES, "description": "Packages to install."}}, ("packages",)),
    "wandb": (
        {
            "project": _text("Project its results belong to."),
            "entity": _text("User or team the project belongs to."),
            "group": _text("Group of runs it belongs to."),
            "job_type": _text("What kind of run it is."),
            "tags": {**_NAMES, "description": "Tags to find it by."},
        },
        (),
    ),
    "comet_ml": (
        {
            "project": _text("Project its results belong to."),
            "project_name": _text("Older name of project."),
            "workspace": _text("Workspace the project belongs to."),
        },
        (),
    ),
    "mlflow": (
        {
            "experiment_name": _text("Experiment its results belong to."),
            "tracking_uri": _text("Server that keeps them."),
        },
        ("experiment_name",),
    ),
}

_INTEGRATION: Schema = {
    "type": "object",
    "properties": {"integration_type": _text("What is set up.", enum=list(INTEGRATIONS))},
    "required": ["integration_type"],
    "allOf": [
        {
            "if": {"properties": {"integration_type": {"const": kind}}, "required": ["integration_type"]},
            "then": {
                "properties": {"integration_type": {}, **fields},
                "required": list(required),
                "additionalProperties": False,
            },
        }
        for kind, (fields, required) in INTEGRATIONS.items()
    ],
}

_ENVIRONMENT: Schema = {
    "type": ["object", "array"],
    "description": "Environment variables: {NAME: value}, or a list of {key: NAME, value: value}.",
    "additionalProperties": _SCALAR,
    "items": {"type": "object", "additionalProperties": _SCALAR},
}

_FIELDS: dict[str, Schema] = {
    "name": _text(
        f"Name of the run: {RULE}. The platform appends what makes it unique.",
        maxLength=MAX_NAME,
        pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    ),
    "image": _text("Container image, such as mosaicml/composer."),
    "command": _text("What runs, as `bash -c` runs it."),
    "entrypoint": _text("Instead of a command: a script for the composer launcher."),
    "compute": _block("What it runs on; what is left out is inferred.", _COMPUTE),
    "scheduling": _block("How it queues, and what happens when it fails.", _SCHEDULING),
    "parameters": _anything("Anything; the run finds it as YAML in the file $PARAMETERS."),
    "env_variables": _ENVIRONMENT,
    "integrations": {
        "type": "array",
        "description": "What is set up before the command, in this order.",
        "items": _INTEGRATION,
    },
    "metadata": _anything("Anything to keep with the run."),
    "parent_name": _text("The run that submits this one; known by itself inside a run."),
    "dependent_deployment": _anything("A second container beside the run."),
    "run_name": _text("Older name of name."),
    "cluster": _text("Older form of compute.cluster."),
    "platform": _text("Older form of compute.cluster."),
    "gpu_type": {**_GPU_TYPE, "description": "Older form of compute.gpu_type."},
    "gpu_num": _count("Older form of compute.gpus."),
    "cpus": _count("Older form of compute.cpus."),
    "partitions": {
        "type": ["array", "string"],
        "description": "Kept for configurations that have it; means nothing here.",
    },
    "optimization_level": _count("Kept for configurations that have it; means nothing here."),
}

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Run configuration",
    **_block("A run, as `mcli run -f FILE` submits it.", _FIELDS),
    "required": ["name", "image"],
    "anyOf": [{"required": ["command"]}, {"required": ["entrypoint"]}],
}
