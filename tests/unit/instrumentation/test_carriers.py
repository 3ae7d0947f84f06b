# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Work that leaves its thread: pipelines of threads, pools that outlive a request, other processes, batches of many."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import multiprocessing
import multiprocessing.pool
import pickle
import queue
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from opentelemetry import trace

import otel_tts
from otel_tts import guard, names
from otel_tts.instrumentation.libraries import threads as carrier
from otel_tts.recording import carried as parcel
from otel_tts.recording import request
from otel_tts.recording.synthesis import current


@pytest.fixture(autouse=True)
def carried() -> Iterator[None]:
    carrier.install()
    yield
    carrier.uninstall()


def look() -> tuple[Any, Any]:
    web = request.current.get()
    return current(), web.id if web is not None else None


# --- threads ----------------------------------------------------------------------------------------------------------


def pipeline(text: str) -> Iterator[str]:
    """As pocket-tts: one thread makes latents, a second one decodes them, the caller takes what comes out."""
    latents: queue.Queue[str | None] = queue.Queue()
    sound: queue.Queue[str | None] = queue.Queue()

    @otel_tts.stage("acoustic_model")
    def generate() -> None:
        for part in text.split():
            latents.put(part)
        latents.put(None)

    def decode_all() -> None:
        while (part := latents.get()) is not None:
            with otel_tts.stage("vocoder"):
                sound.put(part.upper())
        sound.put(None)

    threads = [threading.Thread(target=generate), threading.Thread(target=decode_all)]
    for thread in threads:
        thread.start()
    while (part := sound.get()) is not None:
        yield part
    for thread in threads:
        thread.join()


def test_a_pipeline_of_two_threads_is_one_request(world) -> None:
    here = world()
    speak = otel_tts.synthesis("m", text_argument="text")(pipeline)
    streams = [speak("a b c"), speak("d e")]
    assert [next(stream) for stream in (*streams, *streams)] == ["A", "D", "B", "E"]  # both at once, in turns
    assert [list(stream) for stream in streams] == [["C"], []]
    here.drain()
    found: dict[int, list[str]] = {}
    for span in here.spans:
        found.setdefault(span.context.trace_id, []).append(span.name)
    assert sorted(sorted(trace) for trace in found.values()) == [
        ["text_to_speech m", "tts.acoustic_model", *["tts.vocoder"] * count] for count in (2, 3)
    ]
    assert not guard.faults


def test_a_pool_of_threads_that_a_request_made_is_nobodys(world) -> None:
    here = world()
    with here.synthesis() as first:
        pool = multiprocessing.pool.ThreadPool(1)
        assert pool.apply(look)[0] is first
        assert pool.map(lambda _: look()[0], [1, 2]) == [first, first]
        assert list(pool.imap(lambda _: look()[0], [1])) == [first]
    assert pool.apply(look) == (None, None)
    with here.synthesis() as second:
        assert pool.apply_async(look).get()[0] is second
        assert pool.starmap(lambda *_: look()[0], [(1, 2)]) == [second]
    pool.close()
    pool.join()


# --- processes --------------------------------------------------------------------------------------------------------


def seen_by_a_child() -> tuple[int, int, bool, Any]:
    context = trace.get_current_span().get_span_context()
    return context.trace_id, context.span_id, context.is_remote, look()


def tell(answers: Any) -> None:
    answers.put(seen_by_a_child())


def by_executor() -> Any:
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return pool.submit(seen_by_a_child).result()


def by_pool() -> Any:
    pool = multiprocessing.get_context("fork").Pool(1)
    try:
        return pool.apply(seen_by_a_child)
    finally:
        pool.close()
        pool.join()


def by_process() -> Any:
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=tell, args=(answers,))
    child.start()
    seen = answers.get()
    child.join()
    return seen


def by_subclass() -> Any:
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    class Worker(context.Process):  # type: ignore[name-defined]
        def run(self) -> None:
            tell(answers)

    child = Worker()
    child.start()
    seen = answers.get()
    child.join()
    return seen


def by_pickle() -> Any:
    return pickle.loads(pickle.dumps(parcel.addressed(seen_by_a_child)))()


WAYS = [by_executor, by_pool, by_process, by_subclass, by_pickle]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_child_has_the_callers_span_as_a_remote_parent(world, way) -> None:
    """Its parent's synthesis is no object of its own: nothing can be added to it there."""
    here, web = world(), request.Request("web-1", 0)
    token = request.current.set(web)
    try:
        with here.synthesis() as synthesis, synthesis.stage("model") as stage:
            seen = way()
    finally:
        request.current.reset(token)
    assert seen == (synthesis.identity.trace_id, stage.identity.span_id, True, (None, "web-1"))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_outside_of_a_request_a_child_has_nothing(way) -> None:
    assert way() == (0, 0, False, (None, None))


def test_a_pools_processes_forget_the_request_that_made_them(world) -> None:
    here = world()
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        with here.synthesis() as first:
            assert pool.submit(seen_by_a_child).result()[0] == first.identity.trace_id
        assert pool.submit(seen_by_a_child).result() == (0, 0, False, (None, None))
        with here.synthesis() as second:
            assert next(iter(pool.map(partial(look_after, 1), [2])))[0] == second.identity.trace_id
        assert pool.submit(seen_by_a_child).result()[0] == 0


def look_after(*_: object) -> Any:
    return seen_by_a_child()


def test_what_cannot_be_pickled_fails_as_it_did(world) -> None:
    here = world()
    with (
        concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool,
        here.synthesis(),
        pytest.raises((pickle.PicklingError, AttributeError)),
    ):
        pool.submit(lambda: 1).result()


def test_a_child_of_another_python_is_sent_nothing_of_ours(world, monkeypatch) -> None:
    import multiprocessing.spawn

    here = world()
    monkeypatch.setattr(multiprocessing.spawn, "get_executable", lambda: b"/usr/bin/another-python")
    with here.synthesis():
        assert parcel.addressed(look) is look


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_is_a_span_with_links_and_a_stage_in_each_request(world, clock) -> None:
    here = world()
    requests = [here.synthesis().start() for _ in range(3)]
    with otel_tts.batch("acoustic_model", [*requests, None]):
        assert current() is None
        with otel_tts.stage("vocoder"):
            clock.tick(0.3)
    for one in requests:
        one.finish()
    here.drain()
    spans = [span for span in here.spans if span.name == "tts.acoustic_model"]
    (batch,) = [span for span in spans if span.parent is None]
    shares = [span for span in spans if span.parent is not None]
    assert len(shares) == 3
    assert {span.parent.span_id for span in shares} == {one.identity.span_id for one in requests}
    assert {link.context.span_id for link in batch.links} == {one.identity.span_id for one in requests}
    assert batch.context.trace_id not in {one.identity.trace_id for one in requests}
    for span in shares:
        assert [link.context.span_id for link in span.links] == [batch.context.span_id]
        assert (span.start_time, span.end_time) == (batch.start_time, batch.end_time)
        assert span.attributes[names.BATCH_SIZE] == 3
        assert span.attributes[names.BATCH_SHARE] == pytest.approx(0.1)
    assert here.names().count("tts.vocoder") == 0
    assert [one.attributes[names.SEGMENT_COUNT] for one in here.spans if one.name == "text_to_speech"] == [1, 1, 1]


def test_a_batcher_with_a_thread_of_its_own(world) -> None:
    """Requests hand jobs over and wait; the batcher was there before them and takes what there is."""
    here, jobs, together = world(), queue.Queue[Any](), threading.Event()

    def work() -> None:
        together.wait(10)
        batch = [jobs.get() for _ in range(4)]
        with otel_tts.batch("acoustic_model", [synthesis for synthesis, _ in batch]):
            for _, answer in batch:
                answer.set_result(len(batch))

    def ask() -> int:
        with otel_tts.synthesis("m", engine="e"):
            answer: concurrent.futures.Future[int] = concurrent.futures.Future()
            jobs.put((otel_tts.current(), answer))
            if jobs.qsize() == 4:
                together.set()
            return answer.result(10)

    batcher = threading.Thread(target=work)
    batcher.start()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert [answer.result() for answer in [pool.submit(ask) for _ in range(4)]] == [4] * 4
    batcher.join()
    here.drain()
    (batch,) = [span for span in here.spans if span.name == "tts.acoustic_model" and span.parent is None]
    roots = [span for span in here.spans if span.name == "text_to_speech m"]
    assert {link.context.trace_id for link in batch.links} == {root.context.trace_id for root in roots}
    assert len(roots) == len([span for span in here.spans if span.name == "tts.acoustic_model"]) - 1 == 4
    assert not guard.faults


def test_a_batch_that_fails_fails_for_each_and_raises(world) -> None:
    here = world()
    requests = [here.synthesis().start() for _ in range(2)]
    with pytest.raises(RuntimeError, match="secret"), otel_tts.batch("model", requests):
        raise RuntimeError("secret")
    for one in requests:
        one.finish()
    here.drain()
    spans = [span for span in here.spans if span.name == "tts.model"]
    assert [span.attributes[names.ERROR_TYPE] for span in spans] == ["RuntimeError"] * 3
    assert "secret" not in str([span.to_json() for span in spans])


def test_a_batch_of_requests_that_are_gone_leaves_nothing(world) -> None:
    here = world()
    with here.synthesis() as gone:
        pass
    with otel_tts.batch("model", [gone, None]):
        pass
    assert here.drain().names() == ["text_to_speech"]


def test_a_batch_without_otel_tts_is_just_the_block() -> None:
    with otel_tts.synthesis("m") as unconfigured, otel_tts.batch("model", [unconfigured]):
        done = True
    assert done


def test_an_async_batch(world) -> None:
    here = world()

    async def main() -> None:
        one = here.synthesis().start()
        async with otel_tts.batch("model", [one], device="cpu"):
            await asyncio.sleep(0)
        one.finish()

    asyncio.run(main())
    assert here.drain().names().count("tts.model") == 2


def test_a_fault_of_ours_in_a_batch_changes_nothing(world, monkeypatch) -> None:
    here = world()
    one = here.synthesis().start()
    monkeypatch.setattr(importlib.import_module("otel_tts.recording.batch"), "Link", None)
    with otel_tts.batch("model", [one]):
        done = True
    one.finish()
    assert done
    assert guard.faults == {"batch": 1}
    guard.faults.clear()
