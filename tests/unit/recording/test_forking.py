# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Forks: each in a process of its own, so that a deadlock ends that process and not the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork on this system")

HEAD = """
import faulthandler, json, os, signal, sys, threading, time, warnings
faulthandler.dump_traceback_later(40, exit=True)
warnings.simplefilter("ignore", DeprecationWarning)  # that a process with threads forks is the point
from tests.unit.support.world import World
here = World(interval=0.0005, queue_size=100_000)
recorder, emitter = here.recorder, here.emitter

def one(name):
    with here.synthesis(request_id=name) as synthesis:
        for _ in range(3):
            with synthesis.stage("model"):
                pass
        synthesis.audio([0.1] * 100, 16000)

def left():
    return sorted({span.attributes["request_id"] for span in here.spans if span.name == "text_to_speech"})

def say(found):
    print(json.dumps(found), flush=True)
    os._exit(0)

def in_child(work):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        # The SDK's exporters for tests know nothing of forks: another thread may have held their locks.
        here.span_memory._lock, here.log_memory._lock = threading.Lock(), threading.Lock()
        signal.alarm(20)  # faulthandler waits for its own thread here, which a child does not have
        os.write(write, json.dumps(work()).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(said) if said else None, status
"""


def run(script: str) -> dict:
    """Run `script` after the head; it prints one JSON object."""
    ended = subprocess.run(
        [sys.executable, "-c", HEAD + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return json.loads(ended.stdout)


def test_a_child_sends_nothing_of_its_parents_and_its_own_requests_work() -> None:
    said = run("""
emitter._interval = None; recorder.closed = True; emitter._wake.set(); time.sleep(0.05)
recorder.closed = False  # only drain() works
for number in range(5):
    one(f"parent-{number}")
still_open = here.synthesis(request_id="open").start()
recorder.dropped["queue_full"] += 1
waiting = emitter.waiting

def child():
    from otel_tts.audio.samples.sound import pending
    before = [emitter.waiting, len(recorder.open), pending.bytes, dict(recorder.dropped)]
    one("child")
    emitter.drain()
    return [before, left(), recorder.new_span_id() > 0]

said, status = in_child(child)
still_open.finish()
emitter.drain()
say({"child": said, "status": status, "waiting": waiting, "parent": left()})
""")
    assert said["status"] == 0
    assert said["waiting"] == 5
    assert said["child"] == [[0, 0, 0, {}], ["child"], True]
    assert said["parent"] == ["open", *(f"parent-{number}" for number in range(5))]


def test_a_childs_thread_turns_records_into_telemetry_by_itself() -> None:
    said = run("""
one("parent")
def child():
    one("child")
    until = time.monotonic() + 15
    while "child" not in left() and time.monotonic() < until:
        time.sleep(0.01)
    return [left()[-1:] != [], "child" in left(), [t.name for t in threading.enumerate()].count("otel-tts")]
said, status = in_child(child)
say({"child": said, "status": status})
""")
    assert said == {"child": [True, True, 1], "status": 0}


def test_a_child_holds_none_of_the_files_that_its_parent_reads() -> None:
    said = run("""
import tempfile
from otel_tts.audio.files.file import count_open
from otel_tts.emit.later import files as delivered
go, read = threading.Event(), delivered.read_file
delivered.read_file = lambda *arguments: go.wait(30) and read(*arguments)
with tempfile.NamedTemporaryFile(suffix=".raw") as file:
    file.write(bytes(100)); file.flush()
    def deliver(name):
        with here.synthesis(request_id=name) as synthesis:
            assert emitter.files.note(synthesis, file.name)
    for number in range(3):
        deliver(f"r{number}")
    while emitter.files._reading is None:
        time.sleep(0.01)
    held = count_open()
    def child():
        left_over = count_open()
        go.set()
        deliver("child")
        return [left_over, emitter.flush(10), left(), count_open()]
    said, status = in_child(child)
    go.set()
    say({"held": held, "child": said, "status": status, "parent": emitter.flush(10), "left": count_open()})
""")
    assert said == {"held": 3, "child": [0, True, ["child"], 0], "status": 0, "parent": True, "left": 0}


def test_fifty_forks_under_load_deadlock_no_child_and_harm_no_parent() -> None:
    said = run("""
sys.setswitchinterval(1e-5)
stop, made = False, 0
def load():
    global made
    while not stop:
        one("load"); made += 1
        time.sleep(0.0002)
        if made % 100 == 0:
            here.span_memory.clear(); here.log_memory.clear()
thread = threading.Thread(target=load); thread.start()
def child():
    here.span_memory.clear()
    one("child")
    return [emitter.drain(timeout=10), left()]
results = []
for _ in range(50):
    time.sleep(0.002)
    results.append(in_child(child))
stop = True; thread.join()
from otel_tts import guard
say({"results": results, "made": made, "drained": emitter.drain(), "dropped": recorder.dropped, "faults": guard.faults})
""")
    assert said["results"] == [[[True, ["child"]], 0]] * 50
    assert said["made"] > 50
    assert (said["drained"], said["dropped"], said["faults"]) == (True, {}, {})


def test_forks_from_several_threads_leave_the_recorder_working() -> None:
    said = run("""
statuses = []
def forks():
    for _ in range(10):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        statuses.append(os.waitpid(pid, 0)[1])
threads = [threading.Thread(target=forks) for _ in range(3)]
for thread in threads: thread.start()
for number in range(50): one("busy")
for thread in threads: thread.join()
one("after")
drained = emitter.drain(timeout=10)
say({"statuses": statuses, "drained": drained, "left": left(), "free": emitter._lock.acquire(timeout=5)})
""")
    assert said == {"statuses": [0] * 30, "drained": True, "left": ["after", "busy"], "free": True}


def test_a_fork_waits_for_a_stuck_exporter_only_a_moment() -> None:
    said = run("""
held = threading.Event()
def hold():
    with emitter._lock:
        held.set(); time.sleep(30)
threading.Thread(target=hold, daemon=True).start()
held.wait()
def child():
    emitter.drain(timeout=5)
    one("child")
    return [emitter.drain(timeout=5), left()]
say(in_child(child))
""")
    assert said == [[True, ["child"]], 0]
