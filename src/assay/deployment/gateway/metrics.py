"""Metrics: what the gateway counts, for Prometheus, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from assay.deployment.layers.stack import StackVerdict
from assay.records.release import RolloutStatus

_LAYER_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1)


class GatewayMetrics:
    """Counters and histograms of one gateway. Labels never hold anything that a client sent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "assay_requests", "Replies by release and verdict", ["release", "verdict"], registry=self.registry
        )
        self.errors = Counter(
            "assay_errors", "Requests answered with an error, by status", ["status"], registry=self.registry
        )
        self.engine_failures = Counter(
            "assay_engine_failures", "Engines that failed, by release", ["release"], registry=self.registry
        )
        self.degraded = Counter("assay_degraded", "Replies that were degraded", registry=self.registry)
        self.signals_lost = Counter("assay_signals_lost", "Signals that could not be stored", registry=self.registry)
        self.alarms = Counter("assay_alarms", "Live alarms by monitor", ["monitor"], registry=self.registry)
        self.share = Gauge("assay_candidate_share_percent", "Share of the candidate", registry=self.registry)
        self._layers = Counter(
            "assay_layer_results", "Layer results by status", ["layer", "status"], registry=self.registry
        )
        self._layer_seconds = Histogram(
            "assay_layer_seconds", "Time in a layer", ["layer"], buckets=_LAYER_SECONDS, registry=self.registry
        )
        self.reply_seconds = Histogram(
            "assay_reply_seconds", "Time to a whole reply", ["release"], registry=self.registry
        )

    def saw_layers(self, verdict: StackVerdict) -> None:
        """Count what each layer did."""
        for result in verdict.results:
            self._layers.labels(result.layer, result.status).inc()
            if result.status != "skipped":
                self._layer_seconds.labels(result.layer).observe(result.duration_ms / 1000)

    def text(self, status: RolloutStatus) -> bytes:
        """All metrics in Prometheus' text form."""
        self.share.set(status.share_percent)
        return generate_latest(self.registry)
