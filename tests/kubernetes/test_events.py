"""What Kubernetes says about a run while it waits, as its history tells it."""

from __future__ import annotations

from pathlib import Path

from mapi.clusters.base import Launch, Notice
from mapi.clusters.kubernetes.settings import KubernetesSettings
from tests.clusters.suite import Stage, play, until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.emulation.resources import now
from tests.kubernetes.stage import stage_in


def test_a_pod_that_is_refused_again_and_again_is_one_event(
    emulated: EmulatedCluster, kubeconfig: str, tmp_path: Path
) -> None:
    tries = iter("bcdfg")

    def refuse(launch: Launch, why: str) -> None:
        (job,) = emulated.objects("Job")
        attempt = next(tries)
        emulated.create(
            "Event",
            {
                "metadata": {"name": f"refused-{attempt}"},
                "involvedObject": {"kind": "Job", "name": job["metadata"]["name"]},
                "reason": "FailedCreate",
                "message": f'pods "{job["metadata"]["name"]}-0-h22j{attempt}" is forbidden: {why}',
                "lastTimestamp": now(),
            },
        )

    async def scene(stage: Stage) -> None:
        launch = await stage.launch("sleep 1000")
        await stage.started(launch)
        for why in ("exceeded quota", "exceeded quota", "no such account"):
            refuse(launch, why)
        await until(lambda: "no such account" in refusals(stage, launch)[-1:])
        assert refusals(stage, launch) == ["exceeded quota", "no such account"]

    def refusals(stage: Stage, launch: Launch) -> list[str]:
        told = [each.message for each in stage.of(Notice, launch) if each.type == "POD_REFUSED"]
        return [message.partition("is forbidden: ")[2] for message in told]

    settings = KubernetesSettings(kubeconfig=kubeconfig)
    play(lambda: stage_in(tmp_path / "home", settings), scene)
