"""What docs/kubernetes.md lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from mapi.clusters.kubernetes.names import OWNER, PLATFORM, RESUMPTION, RUN, RUN_NAME
from mapi.clusters.kubernetes.permissions import PERMISSIONS
from mapi.clusters.kubernetes.settings import KubernetesSettings

TEXT = (Path(__file__).parents[2] / "docs/kubernetes.md").read_text()


def rows(section: str) -> list[str]:
    """The rows of the first table of a section, without its head."""
    _, _, text = TEXT.partition(f"\n## {section}\n")
    found = re.search(r"\n\|.*\n\|[-|]+\n((?:\|.*\n)+)", text)
    assert found is not None
    return found[1].splitlines()


def test_every_permission_is_there() -> None:
    where = {(True, False): " (of the cluster)", (False, True): " (with a queue)", (False, False): ""}
    assert rows("Permissions") == [
        f"| `{each}`{where[each.everywhere, each.queue]} | {', '.join(each.verbs)} | {each.purpose} |"
        for each in PERMISSIONS
    ]


def test_every_setting_is_there_with_its_default() -> None:
    written = {name.strip(" `"): default.strip(" `") for _, name, default, *_ in map(cells, rows("Settings"))}
    defaults = msgspec.to_builtins(KubernetesSettings())
    assert written == {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in defaults.items()
    }


def test_every_label_is_there() -> None:
    for label in (OWNER, PLATFORM, RESUMPTION, RUN, RUN_NAME):
        assert f"`{label}`" in TEXT


def cells(row: str) -> list[str]:
    return row.split("|")
