# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Children: forked, spawned, pooled. Each sends its own telemetry, and nothing is counted twice."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from otlp_sink import OtlpSink

Script = Callable[..., "subprocess.CompletedProcess[str]"]
LATER = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000"}

WORK = """
    import multiprocessing, os, sys
    from concurrent.futures import ProcessPoolExecutor
    from opentelemetry import trace, metrics
    counter = metrics.get_meter("test").create_counter("tts.requests")
    duration = metrics.get_meter("test").create_histogram("tts.request.duration")

    def work(count=1):
        for _ in range(count):
            with trace.get_tracer("otel_tts").start_as_current_span("tts.vocoder"):
                counter.add(1)
                duration.record(0.5)
"""


def counts(sink: OtlpSink) -> dict[int, float]:
    return {point.resource["process.pid"]: point.value for point in sink.latest("tts.requests")}


def test_a_forked_child_does_not_count_again_what_its_parent_counted(sink: OtlpSink, script: Script) -> None:
    source = f"""{WORK}
    work(5)
    child = os.fork()
    if child == 0:
        work(1)
        sys.exit(0)
    os.waitpid(child, 0)
    print(os.getpid(), child)
    """
    ended = script(source, sink.env(**LATER))
    assert ended.returncode == 0, ended.stderr
    parent, child = map(int, ended.stdout.split())
    assert counts(sink) == {parent: 5, child: 1}
    assert sum(point.count for point in sink.latest("tts.request.duration")) == 6
    assert len(sink.spans("tts.vocoder")) == 6
    assert len({span.resource["service.instance.id"] for span in sink.spans("tts.vocoder")}) == 2
    memory = {point.resource["process.pid"] for point in sink.latest("process.thread.count")}
    assert memory == {parent, child}


def test_a_forked_child_has_connections_of_its_own(sink: OtlpSink, script: Script) -> None:
    source = f"""{WORK}
    from otel_tts.distro import shutdown
    for round in range(3):
        work(5)
        assert shutdown.flush()  # now there is a connection to inherit
        child = os.fork()
        if child == 0:
            work(1)
            os._exit(0 if shutdown.flush() else 1)
        assert os.waitpid(child, 0)[1] == 0
    """
    ended = script(source, sink.env(**LATER))
    assert ended.returncode == 0, ended.stderr
    senders: dict[int, set[int]] = {}
    for span in sink.spans("tts.vocoder"):
        senders.setdefault(span.connection, set()).add(span.resource["process.pid"])
    assert len(set().union(*senders.values())) == 4
    assert all(len(processes) == 1 for processes in senders.values()), senders


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_child_flushes_before_it_leaves(sink: OtlpSink, script: Script, method: str) -> None:
    source = f"""{WORK}
    if __name__ == "__main__":
        work(2)
        child = multiprocessing.get_context("{method}").Process(target=work, args=(3,))
        child.start()
        child.join()
        assert child.exitcode == 0
        print(os.getpid(), child.pid)
    """
    ended = script(source, sink.env(**LATER))
    assert ended.returncode == 0, ended.stderr
    parent, child = map(int, ended.stdout.split())
    assert counts(sink) == {parent: 2, child: 3}
    starts = ended.stderr.count("gate=on")  # multiprocessing's resource tracker is a process too, and none of ours
    assert starts == (1 if method == "fork" else 2), ended.stderr
    assert len(sink.spans("tts.vocoder")) == 5


def test_a_terminated_child_flushes_and_dies_of_the_signal(sink: OtlpSink, script: Script) -> None:
    source = f"""{WORK}
    import time
    def wait(ready):
        work(3)
        ready.set()
        time.sleep(60)
    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        ready = context.Event()
        child = context.Process(target=wait, args=(ready,))
        child.start()
        ready.wait()
        child.terminate()
        child.join()
        print(child.exitcode)
    """
    ended = script(source, sink.env(**LATER))
    assert ended.stdout.strip() == "-15", ended.stderr
    assert len(sink.spans("tts.vocoder")) == 3


def test_a_child_that_is_ended_while_it_is_forked_dies_at_once_and_reports_no_loss_of_its_parents(
    sink: OtlpSink, script: Script
) -> None:
    # As by Pool.terminate: the signal comes before the child has threads of its own.
    source = f"""{WORK}
    import signal
    from otel_tts.distro import shutdown
    renew = shutdown.renew
    def interrupted():
        signal.raise_signal(signal.SIGTERM)
        renew()
    shutdown.renew = interrupted
    work(3)
    if (child := os.fork()) == 0:
        sys.exit("the child went on")
    print(os.WTERMSIG(os.waitpid(child, 0)[1]))
    """
    ended = script(source, sink.env(**LATER))
    assert ended.stdout.strip() == "15", ended.stderr
    assert "had not been delivered" not in ended.stderr
    assert len(sink.spans("tts.vocoder")) == 3


def test_pool_workers_deliver(sink: OtlpSink, script: Script) -> None:
    source = f"""{WORK}
    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(work, [1] * 8))
    """
    ended = script(source, sink.env(**LATER))
    assert ended.returncode == 0, ended.stderr
    assert len(sink.spans("tts.vocoder")) == 8
    assert sum(counts(sink).values()) == 8


def test_forks_while_others_record_do_not_deadlock(sink: OtlpSink, script: Script) -> None:
    source = f"""{WORK}
    import faulthandler, threading
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            work()
    threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    ends = []
    for _ in range(25):
        child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(30, exit=True)
            work(3)
            from otel_tts.distro import shutdown
            shutdown.flush()
            os._exit(0)
        ends.append(os.waitpid(child, 0)[1])
    stop.set()
    assert ends == [0] * 25, ends
    """
    ended = script(source, sink.env(OTEL_TTS_SHUTDOWN_TIMEOUT="10"), timeout=120)
    assert ended.returncode == 0, ended.stderr[-6000:]


ENDS = {
    "one job": ("work(1); os._exit(3)", 1, 3),
    "nothing to send": ("os._exit(3)", 0, 3),
    "only a metric": ("counter.add(1); os._exit(3)", 0, 3),
    "by keyword": ("work(2); os._exit(status=0)", 2, 0),
    "a grandchild": (
        "grandchild = os.fork(); work(1); os.waitpid(grandchild, 0) if grandchild else 0; os._exit(3)",
        2,
        3,
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_forked_child_that_ends_hard_has_sent_everything(sink: OtlpSink, script: Script, end: str) -> None:
    last, spans, status = ENDS[end]
    source = f"""{WORK}
    work(1)
    child = os.fork()
    if child == 0:
        {last}
    print(child, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    ended = script(source, sink.env(**LATER))
    child, ended_with = map(int, ended.stdout.split())
    assert (ended_with, ended.returncode) == (status, 0), ended.stderr
    assert len(sink.spans("tts.vocoder")) == 1 + spans
    assert (child in counts(sink)) is (end != "nothing to send")
    assert "delivered" not in ended.stderr


SECONDS = """
    def seconds(leave):
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            leave()
            os._exit(0)
        os.waitpid(child, 0)
        return time.monotonic() - began
"""


def test_a_hard_end_waits_a_second_at_most_and_only_once(script: Script) -> None:
    source = f"""{WORK}{SECONDS}
    import threading, time
    def idle(): pass
    def twice():
        work(1)
        threading.Thread(target=os._exit, args=(0,)).start()
        time.sleep(0.2)
    def from_multiprocessing():
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
    print(*map(seconds, (idle, work, twice, from_multiprocessing)), flush=True)
    os._exit(0)
    """
    with OtlpSink(hang=True) as dead:
        ended = script(source, dead.env(OTEL_TTS_SHUTDOWN_TIMEOUT="4", **LATER))
    idle, worked, twice, own_end = map(float, ended.stdout.split())
    assert worked >= 1 and idle < worked, ended.stdout
    assert twice < worked, ended.stdout  # the second thread did not wait for the first
    assert own_end < 4 + worked, ended.stdout  # its finalizer took the budget, and the end no second more
    assert ended.stderr.count("1 span and the last metrics had not been delivered within 1 s") == 1, ended.stderr


def test_os_exit_of_a_process_that_was_not_forked_stays_what_it_is(sink: OtlpSink, script: Script) -> None:
    ended = script(f"{WORK}\n    work(1); os._exit(4)\n", sink.env(**LATER))
    assert (ended.returncode, sink.paths()) == (4, [])
