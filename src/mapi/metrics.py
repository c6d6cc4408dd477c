"""What the platform counts about itself, as Prometheus reads it.

Every `Metrics` has a registry of its own, so that two platforms in one process do not share numbers.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram

#: Seconds. From the milliseconds of an idle machine to the days of a full one.
_WAITS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 1800, 3600, 4 * 3600, 24 * 3600)
#: Seconds.
_CALLS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """Gauges and histograms, to be labelled and set: `metrics.runs.labels("QUEUED").set(3)`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.runs = Gauge("mapi_runs", "Runs by status.", ["status"], registry=self.registry)
        self.queue_length = Gauge(
            "mapi_queue_length", "Runs waiting for room.", ["cluster"], registry=self.registry
        )
        self.submit_to_start = Histogram(
            "mapi_submit_to_start_seconds",
            "From the acceptance of a run to its first command.",
            buckets=_WAITS,
            registry=self.registry,
        )
        self.api_seconds = Histogram(
            "mapi_api_seconds",
            "Time to perform an operation of the API, subscriptions excepted.",
            ["operation"],
            buckets=_CALLS,
            registry=self.registry,
        )
