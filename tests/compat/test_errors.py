"""What is wrong is said in the way each client passes on to its user; what does not exist never hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.calls import ALL, V5, V6, shows
from tests.compat.published import ClientError, Published

NOT_HERE = "not available on this platform"


@shows("create_run")
def test_missing_fields_are_listed_in_the_users_names(client: Published) -> None:
    with pytest.raises(ClientError) as caught:
        client("create_run(RunConfig(name='incomplete', image='bash'))")
    assert "missing the following required values" in caught.value.message
    assert "command" in caught.value.message


@shows("create_run", on=ALL)
def test_what_is_wrong_with_a_configuration_is_said(client: Published) -> None:
    with pytest.raises(ClientError) as caught:
        client.create("true", cluster="lab", gpu_type="h100", gpu_num=8)
    assert caught.value.status == 400
    assert "h100" in caught.value.message and "a100_80gb" in caught.value.message
    with pytest.raises(ClientError, match=r"GREETING.NAME") as caught:
        variable = {"key": "GREETING.NAME", "value": "x"}
        client.create("true", env_variables=[variable])
    assert caught.value.status == 400


@shows("stop_run", "delete_run", on=ALL)
def test_an_unknown_run_is_not_found(client: Published) -> None:
    for call in ("stop_run", "delete_run", "stop_runs", "delete_runs"):
        with pytest.raises(ClientError, match=r"Run no-such-run not found") as caught:
            client(f"{call}({'no-such-run' if call.endswith('run') else ['no-such-run']!r})")
        assert caught.value.status == 404


@shows("get_run", "start_run", "update_run", "update_run_metadata", "create_run_event")
def test_an_unknown_run_is_not_found_by_the_later_calls(client: Published) -> None:
    arguments = {
        "get_run": "",
        "start_run": "",
        "update_run": ", preemptible=True",
        "update_run_metadata": ", {'a': 1}",
        "create_run_event": ", 'CHECKPOINT_SAVED', {}",
    }
    for call, rest in arguments.items():
        with pytest.raises(ClientError, match="no-such-run not found") as caught:
            client(f"{call}('no-such-run'{rest})")
        assert caught.value.status == 404


@shows("get_run_logs", "follow_run_logs", "watch_run_status", on=ALL)
def test_a_subscription_to_an_unknown_run_ends_with_the_reason(client: Published) -> None:
    for call in ("get_run_logs", "follow_run_logs", "watch_run_status"):
        with pytest.raises(ClientError, match="no-such-run"):
            client(f"list({call}('no-such-run'))")


@shows("stop_runs", "delete_runs", on=ALL)
def test_no_runs_are_not_all_runs(client: Published) -> None:
    name = client.create("sleep 60")
    for call in ("stop_runs", "delete_runs"):
        with pytest.raises(ClientError, match="selects no run in particular"):
            client(f"{call}([])")
    assert client("get_runs([name])[0].status", name=name) in ("PENDING", "QUEUED", "STARTING", "RUNNING")


@shows("start_run", "update_run")
def test_a_change_that_comes_at_the_wrong_time_is_a_conflict(client: Published) -> None:
    client.create("sleep 60")
    with pytest.raises(ClientError, match="only runs that have ended") as caught:
        client("start_run(run)")
    assert caught.value.status == 409
    client.finished("true")
    with pytest.raises(ClientError, match="only runs that have not ended") as caught:
        client("update_run(run, preemptible=True)")
    assert caught.value.status == 409


@shows("get_runs", "watch_run_status", on=ALL)
def test_a_wrong_key_is_told_and_does_not_hang(client: Published, tmp_path: Path) -> None:
    stranger = client.with_environment(tmp_path, MOSAICML_API_KEY="wrong")
    try:
        with pytest.raises(ClientError, match="API key is not known") as caught:
            stranger("get_runs()")
        assert caught.value.status == 401
        with pytest.raises(ClientError, match="API key is not known"):
            stranger("list(watch_run_status('x', timeout=20))")
    finally:
        stranger.close()


def refused(client: Published, code: str) -> None:
    with pytest.raises(ClientError, match=NOT_HERE) as caught:
        client(code)
    assert caught.value.status == 501


@shows("get_inference_deployments", "delete_inference_deployments", on=ALL, refused=NOT_HERE)
def test_there_are_no_inference_deployments(client: Published) -> None:
    refused(client, "mcli.get_inference_deployments()")
    refused(client, "mcli.delete_inference_deployments(['x'])")


@shows(
    "create_inference_deployment",
    "get_inference_deployment",
    "update_inference_deployment",
    "get_inference_deployment_logs",
    refused=NOT_HERE,
)
def test_inference_deployments_are_not_made_or_changed(client: Published) -> None:
    refused(
        client,
        "mcli.create_inference_deployment(InferenceDeploymentConfig(name='x', image='bash', command='x'))",
    )
    refused(client, "mcli.get_inference_deployment('x')")
    refused(client, "mcli.update_inference_deployment('x', {'replicas': 2})")
    with pytest.raises(ClientError, match=NOT_HERE):
        client("''.join(mcli.get_inference_deployment_logs('x'))")


@shows("create_finetuning_run", "get_finetuning_runs", "stop_finetuning_runs", on=(V5, V6), refused=NOT_HERE)
def test_there_are_no_finetuning_runs(client: Published) -> None:
    refused(client, "mcli.get_finetuning_runs()")
    refused(client, "mcli.stop_finetuning_runs(['x'])")
    refused(client, "mcli.delete_finetuning_runs(['x'])")
    refused(client, "mcli.create_finetuning_run(model='m', train_data_path='d', save_folder='s')")


@shows("create_pretraining_run", on=(V6,), refused=NOT_HERE)
def test_there_are_no_pretraining_runs(client: Published) -> None:
    refused(
        client,
        "mcli.create_pretraining_run(model='m', train_data=[{}], save_folder='s')",
    )


@shows("get_code_eval_output", on=(V5,), refused=NOT_HERE)
def test_there_is_no_evaluation_of_code(client: Published) -> None:
    refused(client, "mcli.get_code_eval_output({'x': 'y'})")
