"""Build the families of metrics from values by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

Values: TypeAlias = Mapping[tuple[str, ...], float] | float | None
"""By the values of the labels; one value: there are no labels; None: it is not known, and there is no sample."""


def gauge(name: str, what: str, values: Values, labels: Sequence[str] = ()) -> Metric:
    """Return a gauge with these values."""
    return _filled(GaugeMetricFamily(name, what, labels=labels), values)


def counter(name: str, what: str, values: Values, labels: Sequence[str] = ()) -> Metric:
    """Return a counter with these values."""
    return _filled(CounterMetricFamily(name, what, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Values) -> Metric:
    if values is None:
        return family
    for labels, value in values.items() if isinstance(values, Mapping) else [((), values)]:
        family.add_metric(labels, float(value))
    return family
