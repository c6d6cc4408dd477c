"""Runs that went through a life, made by the functions that make real ones."""

import math

from mapi.clusters.base import Inventory, Node
from mapi.domain import lifecycle
from mapi.domain.run import (
    Allocation,
    Compute,
    Event,
    RankState,
    Run,
    RunSpec,
    Scheduling,
)
from mapi.domain.user import Organization, User
from mapi.platform import ClusterView, Occupancy
from mcli.models.run_status import RunStatus

BEGIN = 1_893_456_000_000  # 2030-01-01T00:00:00Z

ADA = User("user-1", "Ada", "ada@example.org", "org-1")
ORGANIZATION = Organization("org-1", "Engines")

GPUS = Allocation("lab", "a100_80gb.8", nodes=2, gpus_per_node=8, cpus_per_node=0, gpu_type="a100_80gb")
CPUS = Allocation("lab", "cpu", nodes=1, gpus_per_node=0, cpus_per_node=2)


def spec(name: str, allocation: Allocation) -> RunSpec:
    return RunSpec(
        name=name,
        image="bash",
        command="python train.py",
        compute=Compute(gpus=allocation.gpus, gpu_type=allocation.gpu_type),
        scheduling=Scheduling(priority="low", max_retries=1, max_duration_seconds=5400),
        env={"HOME_OF": "ada"},
        integrations=({"type": "pip_packages", "params": {"packages": ["rich"]}},),
        parameters={"lr": 0.1, "warm_up": math.nan, "model": {"layers": [1, 2, math.inf]}},
    )


def created(name: str = "train", allocation: Allocation = GPUS) -> tuple[Run, list[Event]]:
    run, event = lifecycle.create(
        run_id=f"id-of-{name}",
        name=f"{name}-a1b2c3",
        owner_id=ADA.id,
        spec=spec(name, allocation),
        submitted={"runName": name, "image": "bash", "parameters": {"lr": 0.1}, "parentName": None},
        metadata={"loss": math.nan, "note": "ok"},
        allocation=allocation,
        at=BEGIN,
    )
    return run, [event]


def through(
    run: Run, events: list[Event], *steps: RunStatus, reason: str | None = None
) -> tuple[Run, list[Event]]:
    """Take these steps, a second apart; the last one for a reason."""
    ranks = [
        RankState(rank, f"node-{rank}", RunStatus.RUNNING) for rank in range(run.latest.allocation.nodes)
    ]
    for step in steps:
        run, event = lifecycle.advance(
            run,
            step,
            at=run.updated_at + 1000,
            reason=reason if step is steps[-1] else None,
            ranks=ranks if step is RunStatus.STARTING else None,
        )
        events = [*events, event]
    return run, events


def retried() -> tuple[Run, list[Event]]:
    """A run that failed once and runs again."""
    S = RunStatus
    run, events = through(
        *created(), S.QUEUED, S.STARTING, S.RUNNING, S.TERMINATING, S.FAILED, reason="exit code 3"
    )
    run, event = lifecycle.resume(
        run, at=run.updated_at + 1000, reason="retry 1 of 1 after: exit code 3", failed=True
    )
    return through(run, [*events, event], S.STARTING, S.RUNNING)


def waiting() -> tuple[Run, list[Event]]:
    """A run without GPUs that waits."""
    return through(*created("wait", CPUS), RunStatus.QUEUED)


def cluster() -> ClusterView:
    return ClusterView(
        "lab",
        "local",
        Inventory(
            (
                Node("node-0", "a100_80gb.8", "a100_80gb", 8, 64, 512 * 2**30),
                Node("node-1", "a100_80gb.8", "a100_80gb", 8, 64, 512 * 2**30),
                Node("node-2", "a100_80gb.8", "a100_80gb", 8, 64, 512 * 2**30, alive=False),
                Node("node-3", "cpu", None, 0, 16, 64 * 2**30),
            )
        ),
        active=[Occupancy(retried()[0], ADA)],
        queued=[Occupancy(waiting()[0], ADA, "waiting for 2 CPUs on lab; 0 free", 1)],
    )
