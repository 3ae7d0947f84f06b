# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""variants/to-kafka.yaml and from-kafka.yaml with a real broker between one agent and two samplers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from broker import Broker
from leaving import Leaving, collector, logs, metrics
from test_gateways import halves, taken
from test_sampling import SAMPLING, ids, request


@pytest.fixture(scope="module")
def broker(stack: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    one = Broker(tmp_path_factory.mktemp("kafka"))
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def agent(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaving]:
    kafka = {"STACK_COLLECTOR": "to-kafka", "STACK_KAFKA": f"[127.0.0.1:{broker.port}]"}
    with collector(tmp_path_factory.mktemp("agent"), **kafka) as found:
        yield found


def sampler(broker: Broker, folder: Path) -> Any:
    kafka = {"STACK_COLLECTOR": "sampling,from-kafka", "STACK_KAFKA": f"[127.0.0.1:{broker.port}]"}
    return collector(folder, **SAMPLING | kafka | {"STACK_KEEP_PERCENT": "100"})


@pytest.fixture(scope="module")
def samplers(agent: Leaving, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Leaving]]:
    # The topics are there before they are asked for.
    agent.post("traces", request())
    agent.post("logs", logs({"body": {"stringValue": "REQ_START"}}))
    agent.post("metrics", metrics({"asDouble": 1.0, "timeUnixNano": "2"}))
    with sampler(broker, tmp_path_factory.mktemp("one")) as one, sampler(broker, tmp_path_factory.mktemp("two")) as two:
        yield [one, two]


def share_begins(agent: Leaving, samplers: list[Leaving]) -> bool:
    """Whether both read by now: until the second has its partitions, the first has them all."""
    agent.post("traces", request())
    return min(map(len, taken(samplers))) > 0


def test_what_goes_in_comes_out_and_no_trace_is_split(
    agent: Leaving, samplers: list[Leaving], eventually: Callable[..., Any]
) -> None:
    eventually(lambda: sum(map(len, taken(samplers))) == 1)
    eventually(lambda: any(one.received("logs") for one in samplers))
    eventually(lambda: any("tts.something" in str(one.received("metrics")) for one in samplers))
    eventually(lambda: share_begins(agent, samplers))
    sent = [request() for _ in range(60)]
    for part in (0, 1):
        for one in sent:
            agent.post("traces", halves(one)[part])
    wanted = set().union(*map(ids, sent))
    eventually(lambda: sum(one.get(trace, 0) for one in taken(samplers) for trace in wanted) == 2 * len(wanted))
    first, second = (wanted & set(one) for one in taken(samplers))
    assert first
    assert second
    assert not first & second


def test_nothing_is_lost_while_the_broker_is_killed(
    agent: Leaving, samplers: list[Leaving], broker: Broker, eventually: Callable[..., Any]
) -> None:
    broker.stop()
    sent = [request() for _ in range(20)]
    for one in sent:
        agent.post("traces", one)
    agent.stack.kill("otelcol")
    agent.stack.start("otelcol")
    broker.start()
    wanted = set().union(*map(ids, sent))
    eventually(lambda: wanted <= set().union(*map(set, taken(samplers))))
