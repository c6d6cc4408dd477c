"""The text of a run's parameters file."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from mapi.domain.run import Json

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def parameters_yaml(parameters: Mapping[str, Json]) -> str:
    """Return parameters as YAML that reads back as the same values, in the order they were given."""
    text: str = yaml.dump(dict(parameters), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text
