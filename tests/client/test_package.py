from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

import mcli
import mcli.api.kube.runs
import mcli.api.runs
import mcli.sdk
from mcli import operations

SCHEMA = Path(__file__).parents[2] / "src" / "mapi" / "web" / "graphql" / "schema.graphql"


def test_importing_the_package_loads_nothing_it_may_not_need() -> None:
    program = (
        "import sys; before = set(sys.modules); import mcli; "
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('mcli')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    expensive = {
        "dataclasses",
        "http.client",
        "json",
        "yaml",
        "websockets",
        "concurrent.futures",
        "asyncio",
        "re",
    }
    assert expensive.isdisjoint(loaded.split())


def test_a_call_over_http_loads_no_websockets_and_no_yaml() -> None:
    program = (
        "import sys; from mcli import get_runs; print('websockets' in sys.modules, 'yaml' in sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert loaded.split() == ["False", "False"]


def test_every_public_name_is_there_and_sorted() -> None:
    assert mcli.__all__ == sorted(mcli.__all__)
    for name in mcli.__all__:
        assert getattr(mcli, name) is getattr(mcli.sdk, name)
    assert set(mcli.__all__) <= set(dir(mcli))
    with pytest.raises(AttributeError, match="no attribute 'create_runs'"):
        mcli.create_runs  # noqa: B018


def test_a_call_is_the_same_function_at_every_path() -> None:
    for name in mcli.api.runs.__all__:
        assert getattr(mcli.api.runs, name) is getattr(mcli.api.kube.runs, name) is getattr(mcli, name)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("create_run", "run timeout future _priority _job_type"),
        ("get_run_logs", "run rank timestamps timeout future failed"),
        ("follow_run_logs", "run rank timestamps timeout future"),
        ("wait_for_run_status", "run status timeout future"),
        (
            "get_runs",
            "runs cluster_names before after gpu_types gpu_nums statuses timeout future clusters",
        ),
        ("stop_runs", "runs timeout future"),
        ("delete_runs", "runs timeout future"),
        (
            "RunConfig",
            "run_name name gpu_type gpu_num cpus platform cluster image partitions optimization_level "
            "integrations env_variables scheduling command parameters entrypoint",
        ),
        (
            "Run",
            "run_uid name status created_at updated_at config started_at completed_at reason "
            "submitted_config nodes",
        ),
    ],
)
def test_the_order_of_arguments_is_the_one_users_know(name: str, parameters: str) -> None:
    known = parameters.split()
    signature = inspect.signature(getattr(mcli.api.kube.runs, name))
    assert list(signature.parameters)[: len(known)] == known


@pytest.mark.parametrize(
    "operation",
    [value for value in vars(operations).values() if isinstance(value, operations.Operation)],
    ids=lambda operation: operation.field,
)
def test_what_the_client_sends_is_what_the_server_takes(operation: operations.Operation) -> None:
    assert validate(build_schema(SCHEMA.read_text()), parse(operation.document)) == []
