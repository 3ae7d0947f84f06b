# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""At which rate is something lost first, and where: `python tests/stack/first_drop.py`, some ten minutes.

A service speaks at one rate after the other through the real Collector into the real stores, until somebody has lost
something: the service (what it says at its end), the Collector (refused, not queued, given up) or a store (what it has
once the Collector's queues are empty). What it prints is in docs/sizing.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from conftest import Backends
from test_rate import Queues, lines, lost, run_service, traces

from otel_tts.stack import ports
from otel_tts.stack.run import Stack

PATIENCE_S = 600


def wait(ready: Callable[[], bool]) -> bool:
    """Wait until it is so; False where it is not before patience ends."""
    patience = time.monotonic() + PATIENCE_S
    while not ready():
        if time.monotonic() > patience:
            return False
        time.sleep(1)
    return True


def empty(queues: Queues) -> bool:
    """Are the queues of all the Collector's exporters empty?"""
    return not any(queues.sizes().values())


def try_rate(stack: Backends, rate: int, seconds: int) -> list[str]:
    """Speak at `rate`; print how it went, and return who lost what."""
    name, since, before = f"first-drop-{rate}", time.time(), lost(stack)
    queues = Queues(stack.stack.url("collector_metrics") + "/metrics")
    queues.start()
    done = run_service(stack.otlp_http, rate, rate * seconds, name)
    spoken = time.time()
    wait(lambda: empty(queues))
    emptied, most = time.time() - spoken, queues.end()
    time.sleep(3)
    in_jaeger, in_logs = traces(stack, since, name), lines(stack, name)
    print(f"{rate} a second for {seconds} s (it was {done.stdout.strip()}): queues empty {emptied:.0f} s later")
    print(f"  queued at most {most}; Jaeger has {in_jaeger}, VictoriaLogs {in_logs} of {rate * seconds}", flush=True)
    found = [line for line in done.stderr.splitlines() if "dropped" in line or "not been delivered" in line]
    if lost(stack) != before:
        found.append("the Collector refused, or could not queue, or gave up")
    if min(in_jaeger, in_logs) < rate * seconds:
        found.append("a store does not have everything")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, nargs="+", default=[1000, 1500, 2000, 3000, 4000])
    parser.add_argument("--seconds", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        stack.up(ports.free())
        try:
            for rate in chosen.rates:
                if found := try_rate(Backends(stack), rate, chosen.seconds):
                    print(*found, sep="\n")
                    return
        finally:
            stack.down()


if __name__ == "__main__":
    main()
