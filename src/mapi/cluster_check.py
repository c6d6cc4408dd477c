"""`mapi cluster check`: what works for a cluster of the configuration, before a run finds out."""

from __future__ import annotations

import difflib
import sys
from importlib import import_module

from mapi.clusters.findings import Finding
from mapi.config import Config, ConfigError, KubernetesCluster, LocalCluster, explained

#: The module that knows what to look at, for each kind of cluster.
_CHECKS: dict[type, str] = {
    LocalCluster: "mapi.clusters.local.check",
    KubernetesCluster: "mapi.clusters.kubernetes.check",
}


def check_cluster(config: Config, name: str) -> int:
    """Print what works; returns the exit code: 1 if something is missing that runs need.

    Args:
        config: the configuration.
        name: of one of its clusters.

    Raises:
        ConfigError: there is no such cluster, or its settings cannot be used.
    """
    settings = config.clusters.get(name)
    if settings is None:
        close = difflib.get_close_matches(name, config.clusters, n=1)
        hint = f"did you mean {close[0]}?" if close else f"configured: {', '.join(config.clusters) or 'none'}"
        raise ConfigError(f"cluster {name!r} is not configured; {hint}")
    print(f"{name} ({settings.__struct_config__.tag})")
    findings = []
    with explained(name, settings):
        for finding in import_module(_CHECKS[type(settings)]).check(settings, config.home_path):
            findings.append(finding)
            print(_row(finding))
    fatal = [finding.what for finding in findings if finding.is_fatal]
    if fatal:
        print(f"mapi: runs will not work on {name} without: {', '.join(fatal)}", file=sys.stderr)
    return 1 if fatal else 0


def _row(finding: Finding) -> str:
    sign = {True: "ok", None: "-", False: "MISSING" if finding.needed else "no"}[finding.works]
    return f"  {sign:<7}  {finding.what:<40}  {finding.detail}".rstrip()
