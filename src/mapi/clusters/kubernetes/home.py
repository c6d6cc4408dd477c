"""What the platform keeps of a Kubernetes cluster on its own disk."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from mapi.clusters.base import Node
from mapi.domain.run import ExecutionId


class Home:
    """The folder of a cluster."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._nodes = path / "nodes.json"
        (path / "logs").mkdir(parents=True, exist_ok=True)

    def identity(self) -> str:
        """The id of this platform, by which it knows its own objects; made when it is first asked for."""
        file = self._path / "id"
        if not file.exists():
            file.write_text(secrets.token_hex(4))
        return file.read_text().strip()

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that were seen last; none before the first time."""
        try:
            return msgspec.json.decode(self._nodes.read_bytes(), type=tuple[Node, ...])
        except (FileNotFoundError, msgspec.MsgspecError):
            return ()

    def remember(self, nodes: Sequence[Node]) -> None:
        """Keep what nodes there are, to know what may be asked for while the cluster is away."""
        new = self._nodes.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(nodes))
        new.replace(self._nodes)

    def note(self, execution: ExecutionId, rank: int) -> Path:
        """The note beside the log of a rank, see `mapi.clusters.kubernetes.logs`."""
        return self._path / "logs" / f"{execution.run_id}.{execution.resumption}.{rank}"

    def sweep(self, keep: Collection[ExecutionId]) -> None:
        """Remove the notes of all other executions, left by a platform that ended before they did."""
        for note in (self._path / "logs").iterdir():
            run_id, resumption, _ = note.name.rsplit(".", 2)
            if ExecutionId(run_id, int(resumption)) not in keep:
                note.unlink(missing_ok=True)
