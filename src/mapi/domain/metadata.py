"""What a run may carry of its user's: values by name, within limits."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mapi.domain.errors import BadRequest
from mapi.domain.run import Json

#: Limits of a run's metadata, as the platform documents them.
MAX_METADATA_KEYS = 200
MAX_METADATA_KEY = 200
MAX_METADATA_VALUE = 100_000


def check_metadata(metadata: Mapping[str, Json]) -> None:
    """Hold metadata to its limits.

    Raises:
        BadRequest: naming everything that is too many or too long.
    """
    problems = []
    if len(metadata) > MAX_METADATA_KEYS:
        problems.append(f"metadata has {len(metadata)} keys; at most {MAX_METADATA_KEYS} are kept")
    for key, value in metadata.items():
        if len(key) > MAX_METADATA_KEY:
            problems.append(
                f"metadata: the key {key[:40]!r}… has {len(key)} characters; at most {MAX_METADATA_KEY}"
            )
        size = len(value) if isinstance(value, str) else len(msgspec.json.encode(value))
        if size > MAX_METADATA_VALUE:
            problems.append(f"metadata.{key} has {size} bytes; at most {MAX_METADATA_VALUE} are kept")
    if problems:
        raise BadRequest("; ".join(problems))
