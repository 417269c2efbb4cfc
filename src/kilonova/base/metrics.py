# SPDX-License-Identifier: Apache-2.0
"""The metrics of a process, in a separate registry (not the library's global one: tests and the simulation run many
"processes" in one)."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Summary, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from kilonova.base import logging

__all__ = ["CONTENT_TYPE", "Collector", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _DroppedLines(Collector):
    """Metrics of the log, of which each process has one."""

    def collect(self) -> Iterable[Metric]:
        name, what = "kilonova_log_lines_dropped", "Lines that could not be written to the log."
        return (CounterMetricFamily(name, what, value=logging.dropped_lines()),)


class Metrics:
    """All methods are cheap and never fail.  Times in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._actions = Counter(
            "kilonova_actions", "Actions that ended on this host.", ["verb", "outcome"], registry=self.registry
        )
        self._rounds = Summary("kilonova_periodic_seconds", "Runs of periodic tasks.", ["task"], registry=self.registry)
        self._missed = Counter(
            "kilonova_periodic_failures", "Runs that failed or hung.", ["task", "how"], registry=self.registry
        )
        self._orphans = Gauge(
            "kilonova_orphan_guests",
            "Guests with our metadata that are not an instance of this host.",
            registry=self.registry,
        )
        self._reaped = Counter(
            "kilonova_reaped_guests", "Guests of deleted instances that were removed.", registry=self.registry
        )

        self._overdue = Counter(
            "kilonova_overdue_actions", "Actions that the watchdog ended after their deadline.", registry=self.registry
        )

        self._refused = Counter(
            "kilonova_refused_log_ins", "Logins that were refused, by reason.", ["reason"], registry=self.registry
        )
        self._images_refused = Counter(
            "kilonova_refused_image_requests",
            "Requests for the bytes of an image that were refused, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._evicted = Counter(
            "kilonova_evicted_images", "Cached images that were removed, by reason.", ["reason"], registry=self.registry
        )
        self._requests = Summary(
            "kilonova_http_request_seconds",
            "Requests of the API, until their answer begins.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._messages = Counter(
            "kilonova_refused_messages",
            "Messages of the bus that were refused, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._placements = Counter(
            "kilonova_placements", "Attempts to choose a host, by result.", ["result"], registry=self.registry
        )
        self._consoles_refused = Counter(
            "kilonova_refused_consoles",
            "Tokens, tickets and connections for consoles that were refused, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.registry.register(_DroppedLines())

    def http_request(self, method: str, route: str, status: int, took_s: float) -> None:
        """`route`: the path of the route with its parameters' names; empty if no route was found."""
        self._requests.labels(method, route, status).observe(took_s)

    def log_in_refused(self, reason: str) -> None:
        """`reason`: wrong, overloaded."""
        self._refused.labels(reason).inc()

    def message_refused(self, reason: str) -> None:
        """`reason`: malformed, unknown-method, or the code of an error."""
        self._messages.labels(reason).inc()

    def placement_ended(self, result: str) -> None:
        """`result`: placed, waiting (for a host that is coming back), not-placed (no valid host, or already placed)."""
        self._placements.labels(result).inc()

    def image_refused(self, reason: str) -> None:
        """`reason`: no-leg (a host needs no such image), url (a URL is expired or altered)."""
        self._images_refused.labels(reason).inc()

    def console_refused(self, reason: str) -> None:
        """`reason`: token, ticket (used, expired, or of another console), hello (a peer without a ticket)."""
        self._consoles_refused.labels(reason).inc()

    def images_evicted(self, reason: str, count: int) -> None:
        """`reason`: age, space."""
        self._evicted.labels(reason).inc(count)

    def action_ended(self, verb: str, succeeded: bool) -> None:
        self._actions.labels(verb, "done" if succeeded else "failed").inc()

    def overdue(self, count: int) -> None:
        self._overdue.inc(count)

    def round_ended(self, task: str, took_s: float, how: str) -> None:
        """`how`: ok, failed, hung."""
        self._rounds.labels(task).observe(took_s)
        if how != "ok":
            self._missed.labels(task, how).inc()

    def orphans(self, count: int) -> None:
        self._orphans.set(count)

    def reaped(self) -> None:
        self._reaped.inc()

    def gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A gauge whose value is read at each scrape."""
        Gauge(name, what, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)

    def value(self, name: str, **labels: str) -> float:
        """The value of one sample; 0 when it does not exist."""
        return self.registry.get_sample_value(name, labels) or 0.0
