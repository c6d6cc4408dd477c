"""What the platform keeps of a Kubernetes cluster on its own disk."""

from __future__ import annotations

import secrets
from pathlib import Path

from mapi.domain.run import ExecutionId


class Home:
    """The folder of a cluster."""

    def __init__(self, path: Path) -> None:
        self._path = path
        (path / "logs").mkdir(parents=True, exist_ok=True)

    def identity(self) -> str:
        """The id of this platform, by which it knows its own objects; made when it is first asked for."""
        file = self._path / "id"
        if not file.exists():
            file.write_text(secrets.token_hex(4))
        return file.read_text().strip()

    def note(self, execution: ExecutionId, rank: int) -> Path:
        """The note beside the log of a rank, see `mapi.clusters.kubernetes.logs`."""
        return self._path / "logs" / f"{execution.run_id}.{execution.resumption}.{rank}"
