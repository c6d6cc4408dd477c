"""How a cluster is reached: from the settings to an address, credentials and a namespace.

What is wrong with them is said in terms of the settings, since that is where it can be mended.
"""

from __future__ import annotations

import difflib
import os
from typing import Any

import httpx2
import yaml
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from mapi.clusters.kubernetes.settings import KubernetesSettings

_VARIABLE = "KUBECONFIG"


def connection(settings: KubernetesSettings, patience: float) -> tuple[dict[str, Any], str]:
    """Return what an HTTP client is made with, and the namespace of the runs.

    Args:
        settings: of the cluster.
        patience: how long an answer may take, in seconds.

    Raises:
        ValueError: the settings, or the kubeconfig they name, cannot be used.
    """
    chosen = _context(_kubeconfig(settings), settings)
    try:
        options = ConnectionParams(timeout=httpx2.Timeout(patience)).httpx_params(chosen)
    except (ConfigError, OSError, ValueError, AssertionError) as error:
        raise ValueError(
            f"kubeconfig: the credentials of context {chosen.context_name} cannot be used: {error}"
        ) from None
    return options, settings.namespace or chosen.namespace


def _kubeconfig(settings: KubernetesSettings) -> KubeConfig:
    try:
        return KubeConfig.from_file(settings.kubeconfig) if settings.kubeconfig else KubeConfig.from_env()
    except ConfigError:  # there is no such file
        where = settings.kubeconfig or os.environ.get(_VARIABLE, DEFAULT_KUBECONFIG)
        others = "" if settings.kubeconfig else "this is no pod with a service account, and "
        raise ValueError(
            f"kubeconfig: {others}there is no file {where}; set kubeconfig to one, or ${_VARIABLE}"
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError) as error:
        where = settings.kubeconfig or f"${_VARIABLE}, or the service account of this pod,"
        raise ValueError(f"kubeconfig: {where} cannot be used: {error or type(error).__name__}") from None


def _context(config: KubeConfig, settings: KubernetesSettings) -> SingleConfig:
    name = settings.context or config.current_context
    if name not in config.contexts:
        close = difflib.get_close_matches(name or "", config.contexts, n=1)
        there = f"did you mean {close[0]}?" if close else f"there are: {', '.join(config.contexts) or 'none'}"
        what = f"there is no context {name!r}" if name else "no context is the current one"
        raise ValueError(f"context: {what} in {config.fname or 'the service account of this pod'}; {there}")
    try:
        chosen = config.get(name)
    except KeyError as error:
        raise ValueError(f"context: {name} names {error}, which the kubeconfig has not") from None
    assert chosen is not None
    return chosen
