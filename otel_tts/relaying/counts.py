# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The relay's own figures, on a page for Prometheus; the names are those of `otel_tts.names`."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from otel_tts import names
from otel_tts.names import Metric
from otel_tts.readers.promql import select

Values = Mapping[tuple[str, ...], float]
"""Values by those of the metric's labels, in their order."""

COUNTERS = (names.RELAY_GROUPS, names.RELAY_REFUSED, names.RELAY_SENT, names.RELAY_FAILED, names.RELAY_ASIDE)


class Counts:
    """Counters, and gauges that are asked for when the page is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[Metric, Counter[tuple[str, ...]]] = {metric: Counter() for metric in COUNTERS}
        self._values[names.RELAY_GROUPS][()] = 0

    def add(self, metric: Metric, *labels: str) -> None:
        """Count one more."""
        with self._lock:
            self._values[metric][labels] += 1

    def page(self, gauges: Iterable[tuple[Metric, Callable[[], Values]]]) -> str:
        """The page, with gauges as they are now."""
        with self._lock:
            values: list[tuple[Metric, Values]] = [(metric, dict(found)) for metric, found in self._values.items()]
        values += [(metric, ask()) for metric, ask in gauges]
        return "".join(f"{row}\n" for metric, found in values for row in _rows(metric, found))


def _rows(metric: Metric, values: Values) -> Iterator[str]:
    name = select(metric, {}).partition("{")[0]
    yield f"# HELP {name} {metric.meaning}"
    yield f"# TYPE {name} {metric.kind}"
    for labels, value in sorted(values.items()):
        yield f"{select(metric, dict(zip(metric.labels, labels, strict=True))).removesuffix('{}')} {value:g}"
