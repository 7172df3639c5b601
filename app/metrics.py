"""`/metrics`: how the process is doing, in the text format of Prometheus."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.live import LiveEvents


class _LiveCollector(Collector):
    """Reads the counts that the parts of the process keep anyway, when somebody asks."""

    def __init__(self, events: LiveEvents, connections: Callable[[], int]) -> None:
        self._events = events
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        """Every metric, as it is now."""
        hub, relay = self._events.live.hub, self._events.relay
        for name, text, value in (
            ("outbox_rows", "Events that are committed and not published yet.", relay.backlog),
            ("outbox_lag_seconds", "How long the oldest of them has waited.", relay.lag_s),
            ("live_is_up", "Whether live events come; without, readers ask the database.", hub.is_up),
            ("connections", "Open WebSockets and streams.", self._connections()),
            *(
                (f"live_{name}", f"What the hub holds now: {name}.", size)
                for name, size in hub.sizes().items()
            ),
        ):
            yield GaugeMetricFamily(f"gonggu_{name}", text, value=float(value))
        yield CounterMetricFamily(
            "gonggu_outbox_relayed", "Events published by the relay, late.", value=float(relay.relayed)
        )
        yield _counter("gonggu_live_events", "What has happened in the hub.", hub.counts)
        penalties = self._events.live.penalty_counts.counts
        yield _counter("gonggu_penalty_counts", "How penalty counts were read and kept.", penalties)


def _counter(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    """One number for each thing that has happened."""
    metric = CounterMetricFamily(name, text, labels=["what"])
    for what, count in sorted(counts.items()):
        metric.add_metric([what], float(count))
    return metric


def metrics_route(events: LiveEvents, connections: Callable[[], int]) -> Route:
    """The route, with a registry of its own: one process may hold several servers, as tests do."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_LiveCollector(events, connections))

    async def answer(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", answer)
