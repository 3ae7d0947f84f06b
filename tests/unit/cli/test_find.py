# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts find` on files: one request, many, none; bad input; what is foreign never reaches the terminal as it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from otel_tts import names
from otel_tts.causes import ask
from otel_tts.cli import find as command
from otel_tts.cli.main import app
from otel_tts.cli.times import nanoseconds
from otel_tts.readers.files import FileLogs, FileTraces
from otel_tts.readers.filters import Filter
from otel_tts.views import plain, request
from tests.store_contracts.sent import Request, S, logs, record, span, traces

HOUR = 3600 * S


def made(count: int = 450, start: int | None = None) -> list[Request]:
    """Requests of two seconds, of which each tenth has the voice "slow" and takes three times as long."""
    start = time.time_ns() - HOUR if start is None else start
    return [
        Request(
            start + at * S, request_id=f"r-{at}", seconds=(2.0 + at % 7 * 0.05) * (3 if at % 10 == 3 else 1),
            stages={"acoustic_model": (1.4 + at % 7 * 0.05) * (3 if at % 10 == 3 else 1), "vocoder": 0.5},
            **{names.VOICE: "slow" if at % 10 == 3 else f"v{at % 4}", names.AUDIO_DURATION: 4.0},
        )
        for at in range(count)
    ]  # fmt: skip


def write(folder: Path, requests: list[Request], *records: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / "traces-h-1.jsonl").open("a") as file:
        for at in range(0, len(requests), 20):
            spans = [one for each in requests[at : at + 20] for one in each.spans]
            file.write(json.dumps(traces("speech", spans)) + "\n")
    with (folder / "logs-h-1.jsonl").open("a") as file:
        said = [
            record(one.start, "REQ_START", f"REQ_START request_id={one.id}", one.trace, one.synthesis["spanId"],
                   request_id=one.id) for one in requests
        ]  # fmt: skip
        file.write(json.dumps(logs("speech", [*said, *records])) + "\n")
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "180")
    return write(tmp_path / "t", made())


def found(*arguments: str) -> tuple[int, str, str]:
    told = CliRunner().invoke(app, ["find", *arguments])
    assert "Traceback" not in told.stderr, told.stderr
    assert told.exception is None or isinstance(told.exception, SystemExit)
    return told.exit_code, told.stdout, told.stderr


def document(*arguments: str) -> dict[str, Any]:
    code, out, errors = found(*arguments, "--json")
    assert code == 0, errors
    return json.loads(out)


def test_from_an_id_to_the_stage_at_fault(folder: Path) -> None:
    code, out, errors = found("r-203", "--dir", str(folder))
    assert code == 0
    assert errors.splitlines() == [f"{one} are read from the files in {folder} (--dir)" for one in ("traces", "logs")]
    head, *rest = out.splitlines()
    assert head.startswith("Request r-203  ok  6.") and "trace " in head
    assert any("tts.acoustic_model" in line and "█" in line for line in rest)
    assert any("REQ_START" in line and "request_id=r-203" in line for line in rest)
    assert "1. acoustic_model took longer than this text needs" in out
    assert re.search(r"because  4\.\d+ s where kokoro needs 1\.\d+ s for such a text", out)
    assert "slow requests share tts.voice = slow" in out
    assert "touches  45 of 450 requests" in out and "to do" in out and "helped?" in out


def test_the_same_for_machines(folder: Path) -> None:
    told = document("r-203", "--dir", str(folder))
    (one,) = told["requests"]
    assert (one["request_id"], one["outcome"]) == ("r-203", "ok") and told["gaps"] == []
    names_of_spans = {span["name"] for span in one["spans"]}
    assert names_of_spans == {"POST /speak", "text_to_speech m1", "tts.acoustic_model", "tts.vocoder"}
    assert [line["body"] for line in one["lines"]] == ["REQ_START request_id=r-203"]
    stage, shared = one["why"]["causes"]
    assert (stage["key"], shared["key"], shared["touches"]) == ("stage", "shared", 45)
    assert one["why"]["excess"]["parts"][0]["stage"] == "acoustic_model"
    assert one["why"]["slow"]["named"][0]["name"] == names.VOICE
    assert told["compared_with"]["requests"] == 450


def test_by_its_trace_and_a_quick_one(folder: Path) -> None:
    trace = document("r-200", "--dir", str(folder))["requests"][0]["trace_id"]
    for written in (trace, trace.upper()):
        (one,) = document(written, "--dir", str(folder))["requests"]
        assert one["request_id"] == "r-200"
    assert [cause["key"] for cause in one["why"]["causes"]] == ["network"]


@pytest.mark.parametrize("period", [[], ["--since", "2h"]], ids=["those about", "since"])
def test_what_nobody_asked_for_is_in_no_number(folder: Path, period: list[str]) -> None:
    """Canaries are the slowest here, and the newest, and more than all others; by its id each is found."""
    start = time.time_ns() - HOUR // 2
    canaries = [
        Request(start + at * S, request_id=f"canary-{at}", seconds=60.0, **{names.CANARY: True}) for at in range(470)
    ]
    told = [document(*period, "--slowest", "10", "--dir", str(folder))]
    write(folder, canaries)
    told.append(document(*period, "--slowest", "10", "--dir", str(folder)))
    ids = [[one["request_id"] for one in each["requests"]] for each in told]
    assert ids[0] == ids[1] and len(ids[0]) == 10
    compared = [each["compared_with"] for each in told]
    assert [one.pop("canaries") for one in compared] == [0, 470]
    assert compared[0] == compared[1] and compared[0]["requests"] == 450
    assert told[0]["why"] == told[1]["why"]

    _, out, _ = found(*period, "--dir", str(folder))
    assert "canary-" not in out and "Compared with 450 requests (and 470 canaries, not counted)" in out
    (one,) = document("canary-7", "--dir", str(folder))["requests"]
    assert one["request_id"] == "canary-7" and one["why"]["excess"]["slow"]


def test_the_canaries_of_the_doctor_are_found_by_its_name(folder: Path) -> None:
    asked = [Request(time.time_ns() - HOUR // 2, request_id="of-the-doctor")]
    with (folder / "traces-h-2.jsonl").open("w") as file:
        file.write(json.dumps(traces(names.DOCTOR, asked[0].spans)) + "\n")
    assert all(one["request_id"] != "of-the-doctor" for one in document("--dir", str(folder))["requests"])
    (one,) = document("--service", names.DOCTOR, "--dir", str(folder))["requests"]
    assert one["request_id"] == "of-the-doctor"


def test_on_forty_columns_no_id_and_no_number_is_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (["r-203"], ["--slowest", "3"])
    wide = [found(*one, "--dir", str(folder))[1] for one in asked]
    monkeypatch.setenv("COLUMNS", "40")
    narrow = [found(*one, "--dir", str(folder))[1] for one in asked]
    for there, here in zip(wide, narrow, strict=True):
        assert re.findall(r"\br-\d+", there) == re.findall(r"\br-\d+", here) != []
        numbers = r"[-+]?\d+\.\d+(?: ms| s)?"
        assert re.findall(numbers, there) == re.findall(numbers, here) != []
    assert "█" in wide[0] and "█" not in narrow[0]


@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_that_do_not_agree(folder: Path, hours: int) -> None:
    """The machine before the service lives an hour away: nothing is slow by that, and all of it is shown."""
    one = Request(time.time_ns() - HOUR // 2, request_id="apart", seconds=2.0, stages={"acoustic_model": 1.4})
    for edge in ("startTimeUnixNano", "endTimeUnixNano"):
        one.server[edge] = str(int(one.server[edge]) + hours * HOUR)
    of_the_gateway = traces("gateway", [one.server])
    of_the_gateway["resourceSpans"][0]["resource"]["attributes"][1]["value"]["stringValue"] = "another"
    write(folder, [])
    with (folder / "traces-another-1.jsonl").open("w") as file:
        file.writelines(json.dumps(part) + "\n" for part in (of_the_gateway, traces("speech", one.spans[1:])))
    told = document("apart", "--dir", str(folder))
    (shown,) = told["requests"]
    assert [span["name"] for span in shown["spans"]].count("POST /speak") == 1 and len(shown["spans"]) == 3
    assert shown["seconds"] == pytest.approx(2.0)
    assert [cause["key"] for cause in shown["why"]["causes"]] in ([], ["network"])
    code, out, _ = found("apart", "--dir", str(folder))
    assert code == 0 and "tts.acoustic_model" in out and "1400.0 ms" in out
    assert "apart" in found("--dir", str(folder), "--since", "2h", "--limit", "500")[1]


def test_several_syntheses_of_one_request(tmp_path: Path) -> None:
    one = Request(time.time_ns() - HOUR, request_id="ws")
    one.synthesis["attributes"][0]["value"]["stringValue"] = "ws.1"
    second = span(one.trace, "text_to_speech m1", one.end, one.end + S, one.server["spanId"], attributes={
        **one.attributes, names.REQUEST_ID: "ws.2", names.OUTCOME: "error", names.ERROR_TYPE: "ValueError",
    })  # fmt: skip
    one.spans.append(second)
    write(tmp_path / "t", [one])
    told = document("ws", "--dir", str(tmp_path / "t"))["requests"]
    assert [(each["request_id"], each["outcome"]) for each in told] == [("ws.1", "ok"), ("ws.2", "error")]
    assert [each["request_id"] for each in document("ws.2", "--dir", str(tmp_path / "t"))["requests"]] == ["ws.2"]


def test_a_request_that_came_to_no_synthesis(tmp_path: Path) -> None:
    one = Request(time.time_ns() - HOUR, request_id="bare")
    one.spans = one.spans[:1]
    write(tmp_path / "t", [one])
    code, out, _ = found("bare", "--dir", str(tmp_path / "t"))
    assert code == 0 and out.startswith("Request bare  no synthesis") and "Nothing stands out." in out


def test_many_by_what_they_were_like(folder: Path) -> None:
    def ids(*arguments: str) -> list[str]:
        return [one["request_id"] for one in document("--dir", str(folder), *arguments)["requests"]]

    assert ids("--limit", "3") == ["r-449", "r-448", "r-447"]
    assert ids("--slowest", "2") == ["r-363", "r-433"] or len(ids("--slowest", "2")) == 2
    assert set(ids("--voice", "slow", "--limit", "100")) == {f"r-{at}" for at in range(3, 450, 10)}
    assert ids("--stage", "acoustic_model", "--slower", "3.8", "--limit", "1")
    assert len(ids("--since", "57m", "--limit", "1000")) < 450
    assert ids("--engine", "kokoro", "--service", "speech", "--outcome", "ok", "--limit", "1") == ["r-449"]


def test_what_the_slow_ones_of_a_period_share(folder: Path) -> None:
    code, out, errors = found("--dir", str(folder), "--since", "2h", "--limit", "2")
    assert code == 0 and "may be incomplete: more was found than the 2" in errors
    assert "1. slow requests share tts.voice = slow" in out
    assert "Compared with 450 requests" in out and "that the slow ones took in excess: acoustic_model" in out
    told = document("--dir", str(folder), "--since", "2h")
    assert told["why"]["slow"]["requests"] == 22 and told["why"]["failed"]["too_few"]


def test_an_unknown_id(folder: Path) -> None:
    code, out, errors = found("r-999", "--dir", str(folder))
    assert (code, out) == (1, "")
    assert "There is no request r-999 in the files" in errors and "It has requests since about 20" in errors
    assert re.search(r"Written like it: .*r-99", errors)
    code, out, errors = found("zzz", "--dir", str(folder), "--json")
    assert code == 1 and json.loads(out)["requests"] == [] and "still be on its way" in errors


def test_nothing_of_that_kind_no_folder_and_no_lines(folder: Path, tmp_path: Path) -> None:
    code, out, errors = found("--dir", str(folder), "--failed")
    assert (code, out) == (1, "") and "No request in the files" in errors
    code, _, errors = found("r-1", "--dir", str(tmp_path / "away"))
    assert code == 1 and "away: no such folder" in errors
    (folder / "logs-h-1.jsonl").unlink()
    code, _, errors = found("r-1", "--dir", str(folder))
    assert code == 0 and "there is no logs*.jsonl*" in errors


def test_torn_and_foreign_lines_are_told_beside_the_answer(folder: Path) -> None:
    with (folder / "traces-h-1.jsonl").open("a") as file:
        file.write('{"r-203": "r-203"\n{"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "r-203"')
    code, out, errors = found("r-203", "--dir", str(folder))
    assert code == 0 and "Request r-203" in out
    assert "is broken" in errors or "is torn" in errors or "may be incomplete" not in errors
    code, _, errors = found("--dir", str(folder), "--limit", "1")
    assert code == 0 and re.search(r"line \d+ is broken: .*\(and 1 more\)", errors)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "is no time"), (["--until", "99999999999d"], "is no time"),
        (["--outcome", "fine"], "is none of ok"), (["--failed", "--outcome", "ok"], "give one of them"),
        (["--until", "9999-12-31T23:59"], "from 1970 to 2262"), (["--since", "1h", "--until", "2h"], "is not before"),
        (["--follow", "--slowest", "3"], "--follow waits"), (["--follow", "--until", "1h"], "--follow waits"),
        (["--slower", "-1"], "'--slower'"), (["--slower", "nan"], "'--slower'"), (["--slowest", "0"], "'--slowest'"),
        (["--limit", "0"], "'--limit'"), ([""], "1 to 1024"), (["x" * 2000], "1 to 1024"), (["a\0b"], "store can hold"),
        (["--traces", "ftp://x", "--logs", "http://127.0.0.1:1"], "ftp"), (["--voice", ""], "1 to 1024"),
    ],
)  # fmt: skip
def test_wrong_use(arguments: list[str], said: str, folder: Path) -> None:
    where = [] if "--traces" in arguments else ["--dir", str(folder)]
    code, out, errors = found(*arguments, *where)
    assert (code, out) == (2, "") and said in " ".join(errors.replace("│", " ").split())


def test_times() -> None:
    now = time.time_ns()
    assert abs(nanoseconds("90s") - (now - 90 * S)) < 5 * S and abs(nanoseconds("1.5h") - (now - 5400 * S)) < 5 * S
    assert nanoseconds("2026-11-30T05:00Z") == nanoseconds("2026-11-30T06:00+01:00") == 1_796_014_800 * S
    assert nanoseconds("999999w") == 0


def test_a_store_that_does_not_answer_is_told(unused_port: int) -> None:
    url = f"jaeger+http://127.0.0.1:{unused_port}"
    logs_url = f"victorialogs+http://127.0.0.1:{unused_port}"
    code, out, errors = found("r-1", "--traces", url, "--logs", logs_url)
    assert (code, out) == (1, "") and "does not answer" in errors


@pytest.fixture
def unused_port(free_port: Any) -> int:
    return free_port()


def test_control_characters_of_foreign_files_never_reach_the_terminal(tmp_path: Path) -> None:
    evil = "x\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\r\n\ty"
    one = Request(time.time_ns() - HOUR, request_id="r-1", **{
        names.VOICE: evil, names.MODEL: evil, names.ERROR_TYPE: evil, names.OUTCOME: "error",
        names.AUDIO_ANOMALY: [evil],
    })  # fmt: skip
    one.synthesis["name"] = evil
    one.add(evil, one.start, 0.2)
    one.synthesis["status"] = {"code": 2, "message": evil}
    said = record(one.start, evil, evil, one.trace, one.synthesis["spanId"]) | {"severityText": evil}
    write(tmp_path / "t", [one], said)
    for arguments in (["r-1"], [], ["r-1", "--json"], ["--json"]):
        code, out, errors = found("--dir", str(tmp_path / "t"), *arguments)
        assert code == 0
        assert not [letter for letter in out + errors if not letter.isprintable() and letter != "\n"]


_LEAF = st.one_of(st.text(max_size=8), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(),
                  st.lists(st.text(max_size=4), max_size=3))  # fmt: skip


_KEYS = st.sampled_from([one.key for one in names.ATTRIBUTES])


@given(
    synthesis=st.dictionaries(_KEYS, _LEAF, max_size=12), stage=st.dictionaries(_KEYS, _LEAF, max_size=6),
    late=st.integers(-(10**12), 10**12),
)  # fmt: skip
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_our_names_is_shown(
    tmp_path: Path, synthesis: dict[str, Any], stage: dict[str, Any], late: int
) -> None:
    folder = tmp_path / "odd"
    for path in folder.glob("*"):
        path.unlink()
    others = made(40, start=1_796_000_000 * S)
    one = Request(1_796_000_000 * S, **{**synthesis, names.REQUEST_ID: "odd"})
    one.spans.append(
        span(one.trace, "tts.x", max(0, one.start + late), one.end, one.synthesis["spanId"], attributes=stage)
    )
    write(folder, [one, *others])
    report = ask.one("odd", FileTraces(folder), FileLogs(folder))
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        for each in report.requests:
            request.show(console, each, report.period)
        overview = ask.many(Filter(limit=5), FileTraces(folder))
        request.show_overview(console, overview)
    json.dumps([plain.report(report), plain.overview(overview)], allow_nan=False)


def test_requests_are_printed_as_they_end(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "logs-h-1.jsonl").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "otel_tts.cli.main", "find", "--follow", "--failed", "--dir", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    try:
        assert process.stderr.readline().startswith("logs are read from the files")
        time.sleep(1.0)
        now = time.time_ns()
        said = [
            record(now, "REQ_SUCCESS", "REQ_SUCCESS request_id=a", **{names.OUTCOME: "ok"}),
            record(now, "REQ_FAIL", "REQ_FAIL request_id=b\x1b[2J", **{names.OUTCOME: "error"}),
        ]
        with (folder / "logs-h-1.jsonl").open("a") as file:
            file.write(json.dumps(logs("speech", said)) + "\n")
        assert process.stdout.readline() == "REQ_FAIL request_id=b�[2J\n"
        process.send_signal(2)
        assert process.wait(20) == 0 and process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_help_is_whole_and_a_pipe_has_no_colours(folder: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "otel_tts.cli.main", "find", "r-203", "--dir", str(folder)],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert b"\x1b" not in told.stdout + told.stderr
    code, out, _ = found("--help")
    assert code == 0 and "Exit status" in out
    assert command.find.__doc__


def test_what_is_alike_is_found_by_a_part_of_it(folder: Path) -> None:
    store = FileTraces(folder)
    assert ask.similar("r-44", store)[0].startswith("r-44")
    assert ask.oldest(store) == min(one.start for one in store.syntheses())
    assert replace(Filter(), limit=1).limit == 1
