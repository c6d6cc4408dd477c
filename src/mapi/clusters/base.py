"""The contract of a cluster: what the platform asks of each kind.

Nothing above this line knows which kind it talks to. One test suite runs against every kind.

The life of an execution, as a cluster sees it::

    launch(launch) ─→ RankStarted (each rank) ─→ RankExited (each rank)
                  └─→ LaunchFailed                      after end(): the same RankExited

Where the cluster has a queue of its own, `Queued` (each reason) and `Admitted` come first, and `Evicted` may
come later.

Reports arrive through the callback given to `open`, on the event loop, once each. A report may come
again after a restart of the platform; nothing may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from mapi.domain.access import Access, access_injection
from mapi.domain.run import Allocation, ExecutionId
from mapi.domain.runtime import Injection
from mapi.domain.secrets import OpenSecret, injection
from mapi.logs.times import Record
from mcli.models.mint_message import TerminalSize


class Node(msgspec.Struct, frozen=True):
    """A machine of a cluster. `memory` in bytes; `gpu_type` None where it has no GPUs."""

    name: str
    instance: str
    gpu_type: str | None
    gpus: int
    cpus: int
    memory: int
    alive: bool = True
    schedulable: bool = True


class Inventory(msgspec.Struct, frozen=True):
    """What a cluster has. It changes only through the callback of `Cluster.open`.

    `ranks_share_nodes`: several ranks of one run may be placed on one node.
    `shared_slots`: how many ranks that ask for no CPUs and no GPUs a node takes at once.
    `queue`: the cluster's own queue, where it has one, which decides when runs start, and where. They are
    handed over as they come, and their `placement` names no nodes.
    """

    nodes: tuple[Node, ...]
    ranks_share_nodes: bool = False
    shared_slots: int = 16
    queue: str = ""


class Launch(msgspec.Struct, frozen=True):
    """Everything a cluster needs to execute one resumption.

    `placement`: the node name of each rank, by rank; empty where the cluster chooses. `env`: the user's
    variables. `parameters`: the text of parameters.yaml. `owner`: the id of the run's. `grace_seconds`: how
    long an ended rank has between the gentle signal and the hard one.
    `secrets`, `access`: what `injection` makes files and variables of; on disk only if there is no other way.
    """

    execution: ExecutionId
    run_name: str
    command: str
    image: str
    env: dict[str, str]
    parameters: str
    allocation: Allocation
    placement: tuple[str, ...]
    owner: str = ""
    grace_seconds: float = 30.0
    secrets: tuple[OpenSecret, ...] = ()
    access: Access | None = None

    def injection(self, root: str = "") -> Injection:
        """Return the files and variables of its secrets and its access to the platform.

        Args:
            root: a directory that stands for `/`, where files cannot be shown at the paths meant for them.
        """
        given = access_injection(self.access, root) if self.access else Injection()
        return given + injection(self.secrets, root)


class RankStarted(msgspec.Struct, frozen=True):
    """The command of a rank runs. `node`: where, if that is not what its placement says."""

    execution: ExecutionId
    rank: int
    at: int
    node: str | None = None


class RankExited(msgspec.Struct, frozen=True):
    """A rank has ended, everything it started has ended, and its log file is whole.

    `exit_code`: as a shell reports it (128 + n for signal n); None when it cannot be known, then `reason`
    says why and `system` is True: a failure that is not the run's own doing (its supervisor was killed, its
    node was lost).
    """

    execution: ExecutionId
    rank: int
    at: int
    exit_code: int | None
    reason: str | None = None
    system: bool = False


class LaunchFailed(msgspec.Struct, frozen=True):
    """Nothing of the execution runs, nor will: it could not be started.

    `image`: True when its image could not be had (FAILED_PULL).
    """

    execution: ExecutionId
    at: int
    reason: str
    image: bool = False
    system: bool = False


class Queued(msgspec.Struct, frozen=True):
    """The cluster's own queue does not start it yet. `reason`: in the words of that queue."""

    execution: ExecutionId
    at: int
    reason: str


class Admitted(msgspec.Struct, frozen=True):
    """The cluster's own queue has given it a place."""

    execution: ExecutionId
    at: int


class Evicted(msgspec.Struct, frozen=True):
    """The cluster's own queue has taken its place away, and it is to be ended.

    `comes_back`: whether the run is to wait for another place; False where it was made to stop for good.
    """

    execution: ExecutionId
    at: int
    reason: str
    comes_back: bool = True


class Notice(msgspec.Struct, frozen=True):
    """Something worth an event in the run's history, which changes no status.

    `reason`: what the reason of its status becomes, where it becomes another.
    """

    execution: ExecutionId
    at: int
    type: str
    message: str
    reason: str | msgspec.UnsetType | None = msgspec.UNSET


Report = RankStarted | RankExited | LaunchFailed | Queued | Admitted | Evicted | Notice


class Shell(Protocol):
    """A shell on a terminal of its own, in the environment of a rank. It ends with its rank at the latest."""

    async def read(self) -> bytes:
        """Return what was printed next, as soon as there is any; nothing when the shell has ended.

        What is not read stays with the shell, which waits when the terminal is full.
        """

    async def write(self, data: bytes) -> None:
        """Type. Returns when the terminal has taken it all, which it does as fast as it is read from."""

    def resize(self, size: TerminalSize) -> None:
        """Tell the shell how large the terminal is now."""

    async def exit_code(self) -> int | None:
        """Wait until the shell has ended; return its code, None where it is not known."""

    def close(self) -> None:
        """Hang up: the shell is told, and killed if it does not listen."""


class Logs(Protocol):
    """Where what ranks print is kept."""

    def path(self, execution: ExecutionId, rank: int) -> Path:
        """The file of a rank, to which its output is appended."""

    def written(self, execution: ExecutionId, rank: int, records: Iterable[Record]) -> None:
        """Say when the file came to have which sizes, right after it was appended to.

        Only where that is known better than by looking at the file when it grows.
        """


class Cluster(Protocol):
    """A place that executes runs."""

    @property
    def name(self) -> str:
        """What users call it."""

    @property
    def kind(self) -> str:
        """`local`, `kubernetes`, `slurm` …"""

    @property
    def inventory(self) -> Inventory:
        """What there is now."""

    async def open(self, report: Callable[[Report], None], changed: Callable[[], None]) -> None:
        """Begin: learn the inventory and be ready to launch.

        Args:
            report: called on the event loop with what happens to executions.
            changed: called on the event loop when `inventory` has changed.
        """

    async def launch(self, launch: Launch) -> None:
        """Start a resumption: once, however often it is asked to. Returns when it is handed over."""

    async def adopt(self, launch: Launch) -> None:
        """Watch again, after a restart of the platform, what `launch` was asked to start before it.

        Never starts anything: a rank of which there is no trace is reported as exited with `system=True`.
        """

    async def end(self, execution: ExecutionId, *, force: bool = False) -> None:
        """Ask every rank to end: gently, and by force when the grace period is over (`force`: at once).

        Returns at once; `RankExited` follows. An unknown execution is no error.
        """

    async def shell(
        self, execution: ExecutionId, rank: int, *, command: str | None, size: TerminalSize
    ) -> Shell:
        """Start a shell where the command of a rank runs: its environment, directory, files and devices.

        Args:
            execution: what runs.
            rank: which of its ranks.
            command: what the shell is to run; None for an interactive one.
            size: how large its terminal is.

        Raises:
            Conflict: the rank does not run, or cannot be reached.
        """

    async def sweep(self, keep: Collection[ExecutionId]) -> None:
        """End and forget every execution that is not in `keep`: nothing runs that nobody owns."""

    async def release(self, execution: ExecutionId) -> None:
        """Remove what is only kept until the end of an execution is recorded, which it is now."""

    async def forget(self, run_id: str) -> None:
        """Remove all that an ended run left here, except its logs."""

    async def close(self) -> None:
        """Stop watching. What runs goes on."""
