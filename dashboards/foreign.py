# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Series that boards and alerts ask for and that `otel_tts.names` does not have: others send them, or will.

`AWAITED` are names of ours that are not sent yet: what asks for them is empty, says so, and works from the day on. A
test fails as soon as `names` has one of them, so that it moves there.
"""

from __future__ import annotations

from typing import Final

from otel_tts.names import Metric

PROCESS_MEMORY: Final = Metric("process.memory.usage", "updowncounter", "By", (), "resident memory")
PROCESS_FILES: Final = Metric("process.open_file_descriptor.count", "updowncounter", "{count}", (), "open files")
PROCESS_THREADS: Final = Metric("process.thread.count", "updowncounter", "{thread}", (), "threads")
PROCESSES: Final = (PROCESS_MEMORY, PROCESS_FILES, PROCESS_THREADS)

AWAITED: Final[tuple[Metric, ...]] = ()

SIGNALS: Final = ("spans", "metric_points", "log_records")

# The Collector's own. No `_total` on its counters, since its Prometheus reader is told of no suffixes.
QUEUE_SIZE: Final = "otelcol_exporter_queue_size"
QUEUE_CAPACITY: Final = "otelcol_exporter_queue_capacity"
COLLECTOR_MEMORY: Final = "otelcol_process_memory_rss"
COLLECTOR_CPU: Final = "otelcol_process_cpu_seconds"
COLLECTOR: Final = frozenset(
    {QUEUE_SIZE, QUEUE_CAPACITY, COLLECTOR_MEMORY, COLLECTOR_CPU}
    | {
        f"otelcol_{counter}_{signal}"
        for counter in ("receiver_accepted", "receiver_refused", "exporter_sent", "exporter_send_failed")
        for signal in SIGNALS
    }
    | {f"otelcol_exporter_enqueue_failed_{signal}" for signal in SIGNALS}
)

PROMETHEUS: Final = frozenset({"up", "ALERTS"})
"""What Prometheus itself makes: whom it could reach, and what fires."""
