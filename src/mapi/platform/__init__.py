"""The one place where store, scheduler, clusters and logs meet."""

from mapi.platform.platform import Platform
from mapi.platform.views import ClusterView, Occupancy, RunPage

__all__ = ["ClusterView", "Occupancy", "Platform", "RunPage"]
