# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The page and the export: what stands in them, that nothing in the data becomes markup, who may ask the local page."""

from __future__ import annotations

import html
import http.client
import json
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from otel_tts import names
from otel_tts.causes import explain
from otel_tts.causes.ask import Overview, many
from otel_tts.causes.period import Period
from otel_tts.cli.main import app
from otel_tts.readers import otlp_json
from otel_tts.readers.files import FileLogs, FileTraces
from otel_tts.readers.filters import Filter
from otel_tts.readers.model import Span, Synthesis
from otel_tts.views import chrome_trace, page
from otel_tts.views.server import PageServer
from tests.store_contracts.sent import Request, S, logs, pairs, record, traces

NOW = 1_796_000_000 * S
EVIL = '</script><script>document.title="owned"</script><img src=x onerror=alert(1)>'


def spans_of(request: Request) -> list[Span]:
    return list(otlp_json.spans(traces("tests", request.spans)))


def one(**facts: Any) -> Request:
    request = Request(NOW, request_id="r-1", seconds=2.0, stages={"text_frontend": 0.2, "vocoder": 1.0}, **facts)
    request.spans[-1]["events"] = [{
        "name": names.MEMORY_EVENT, "timeUnixNano": str(NOW + S),
        "attributes": pairs({names.MEMORY_ALLOCATED: 2**30, names.MEMORY_PEAK: 2**31, names.HW_ID: "GPU-1"}),
    }]  # fmt: skip
    return request


def found(requests: Sequence[Synthesis]) -> Overview:
    period = Period(requests)
    return Overview(tuple(requests), period, explain.of_period(period))


def folder_with(tmp_path: Path, *requests: Request) -> Path:
    folder = tmp_path / "t"
    folder.mkdir()
    spans = [span for each in requests for span in each.spans]
    (folder / "traces.jsonl").write_text(json.dumps(traces("tests", spans)) + "\n")
    said = [record(each.start, "REQ_START", f"REQ_START {EVIL}", each.trace, request_id=each.id) for each in requests]
    (folder / "logs.jsonl").write_text(json.dumps(logs("tests", said)) + "\n")
    return folder


def seen(address: str, tmp_path: Path, language: str = "en-US") -> str:
    """The page as Chromium has it after its script has run."""
    told = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/chromium",
         f"--lang={language}", f"--accept-lang={language}", "--virtual-time-budget=8000", "--dump-dom", address],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return told.stdout


def rows(dom: str) -> list[list[str]]:
    """The cells of the tables' rows."""
    found = re.findall(r"<tr[^>]*>(.*?)</tr>", dom, re.DOTALL)
    return [[html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
            for row in found]  # fmt: skip


@pytest.mark.requires("chromium")
def test_a_browser_shows_the_request_and_nothing_in_it_is_markup(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, one(**{names.VOICE: EVIL, names.AUDIO_ANOMALY: ["clipped"]}))
    path = tmp_path / "page.html"
    told = CliRunner().invoke(app, ["view", "r-1", "--dir", str(folder), "--html", str(path)])
    assert told.exit_code == 0, told.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "<script>document.title" not in text and "http://" not in text and "https://" not in text
    dom = seen(path.as_uri(), tmp_path)
    assert "<title>Speech requests</title>" in dom  # the script ran, and no other
    table = rows(dom)
    assert ["POST /speak", "", "2002.0", "–", "–", ""] in table
    assert ["tts.vocoder", "", "1000.0", "–", "2048", ""] in table
    (line,) = [row for row in table if row[1:2] == ["INFO"]]
    assert line == ["0.0", "INFO", f"REQ_START {EVIL}"]
    assert [names.VOICE, EVIL] in table and [names.TEXT_LENGTH, "42"] in table
    assert "<h2>Why</h2>" in dom and "<p>Nothing stands out.</p>" in dom
    assert '<th scope="col"' in dom and "<caption>Where the time went</caption>" in dom


def slow_ones() -> list[Request]:
    """Requests of which each tenth has a voice that is no name, and takes three times as long."""
    return [
        Request(
            NOW + at * S, request_id=f"r-{at}", seconds=6.0 if at % 10 == 3 else 2.0 + at % 7 * 0.05,
            stages={"vocoder": 5.0 if at % 10 == 3 else 1.0 + at % 7 * 0.05},
            **{names.VOICE: EVIL if at % 10 == 3 else f"v{at % 4}"},
        )
        for at in range(450)
    ]  # fmt: skip


@pytest.mark.requires("chromium")
@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_a_browser_shows_why_of_one_and_of_all(tmp_path: Path, language: str) -> None:
    folder, path = folder_with(tmp_path, *slow_ones()), tmp_path / "page.html"
    told = CliRunner().invoke(app, ["view", "r-203", "--dir", str(folder), "--html", str(path)])
    assert told.exit_code == 0, told.stderr
    dom = seen(path.as_uri(), tmp_path, language)
    titles = [html.unescape(one) for one in re.findall(r"<li><strong>(.*?)</strong>", dom)]
    heads = re.findall(r"<h2>(.*?)</h2>", dom)
    if language == "en-US":
        shared, of_stage = f"slow requests share {names.VOICE} = {EVIL}", "vocoder took longer than this text needs"
        assert heads[:1] == ["Why: what the slow and the failed ones share"] and "Why" in heads
        assert ["vocoder", "5.000"] in [row[:2] for row in rows(dom)] and "<dt>helped?</dt>" in dom
    else:
        shared, of_stage = f"慢请求的共同点：{names.VOICE} = {EVIL}", "vocoder 用时超过此文本所需"
        assert heads[:1] == ["原因：慢请求与失败请求的共同点"] and "原因" in heads and "<dt>怎么办</dt>" in dom
    assert titles == [shared, of_stage, shared]  # of all, then of this one
    assert "<title>owned" not in dom and "<img" not in dom


@pytest.fixture
def served(tmp_path: Path) -> Iterator[PageServer]:
    folder = folder_with(tmp_path, one(), Request(NOW + S, request_id="r-2"))
    store = FileTraces(folder)
    with PageServer(many(Filter(request_id="r-1"), store), store, FileLogs(folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.requires("chromium")
def test_the_local_page_fetches_a_trace_when_it_is_looked_at(served: PageServer, tmp_path: Path) -> None:
    table = rows(seen(served.address, tmp_path))
    assert ["tts.vocoder", "", "1000.0", "–", "2048", ""] in table


def ask(server: PageServer, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def test_only_who_has_the_address_is_answered(served: PageServer) -> None:
    token = served.address.split("/")[3]
    trace = next(iter(served._known))  # pyright: ignore[reportPrivateUsage]
    page = ask(served, f"/{token}/")
    assert page.status == 200 and page.getheader("Access-Control-Allow-Origin") is None
    assert page.getheader("X-Frame-Options") == "DENY" and page.getheader("X-Content-Type-Options") == "nosniff"
    assert ask(served, f"/{token}/", Host=f"localhost:{served.server_port}").status == 200
    (found,) = json.loads(ask(served, f"/{token}/trace/{trace}").read())["requests"]
    assert found["request_id"] == "r-1" and found["why"]["compared"]
    for path in ("/", "/x/", f"/{token}", f"/{token}/trace/{'0' * 32}", f"/{token}/../etc/passwd", "*", "//",
                 f"/{token}/trace/{trace}x", f"/x/trace/{trace}", "/%00/", "/%c3%a9/"):  # fmt: skip
        assert ask(served, path).status == 404, path
    for host in ("evil.example", f"evil.example:{served.server_port}", "127.0.0.1", ""):
        assert ask(served, f"/{token}/", Host=host).status == 403, host
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        assert ask(served, f"/{token}/", method).status == 501
    assert served.server_address[0] == "127.0.0.1" and len(token) >= 32


@pytest.mark.thorough
def test_a_hundred_thousand_requests_are_a_page() -> None:
    (made,) = page.of_trace(spans_of(one()))
    assert len(page.listed(found([made] * 100_000))) < 60e6


def test_the_policy_allows_the_pages_own_script_and_no_other() -> None:
    text = page.of([spans_of(one())], None, found([]))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert "connect-src" not in policy and "connect-src 'self'" in page.listed(found([]))
    assert not re.findall(r"<[^>]* on[a-z]+=|<[^>]* style=", text.split('<script type="application/json"')[0])


def test_the_export_has_a_track_a_request_and_memory_as_a_counter() -> None:
    first, second = spans_of(one()), spans_of(Request(NOW + S, request_id="r-2"))
    document = chrome_trace.document([first, second])
    events = document["traceEvents"]
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert tracks == {2: "r-1", 3: "r-2"}
    slices = [event for event in events if event["ph"] == "X" and event["tid"] == 2]
    assert [(one["name"], one["ts"], one["dur"]) for one in slices] == [
        ("POST /speak", 0.0, 2_002_000.0), ("text_to_speech m1", 1000.0, 2_000_000.0),
        ("tts.text_frontend", 1000.0, 200_000.0), ("tts.vocoder", 201_000.0, 1_000_000.0),
    ]  # fmt: skip
    (counter,) = [event for event in events if event["ph"] == "C"]
    assert counter["args"] == {"allocated": 2**30, "peak": 2**31} and counter["name"] == "memory of GPU-1"
    assert document["otherData"]["began_unix_nano"] == str(NOW - 10**6)
    json.dumps(document, allow_nan=False)


def test_spans_that_cross_have_tracks_of_their_own(span: Callable[..., Span]) -> None:
    crossing = [span("a", 0, 10), span("b", 1, 6, "a"), span("c", 4, 9, "a"), span("d", 9, 10, "a")]
    slices = [event for event in chrome_trace.document([crossing])["traceEvents"] if event["ph"] == "X"]
    assert {event["name"]: event["tid"] for event in slices} == {"a": 2, "b": 2, "c": 3, "d": 2}
    for one in slices:
        for other in slices:
            if one["tid"] == other["tid"] and one["ts"] <= other["ts"] < one["ts"] + one["dur"]:
                assert other["ts"] + other["dur"] <= one["ts"] + one["dur"]
    assert chrome_trace.document([])["traceEvents"]


def test_the_command_writes_both_and_says_what_is_wrong(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, one(), Request(NOW + S, request_id="r-2"))
    told = CliRunner().invoke(app, ["view", "--dir", str(folder), "--export", str(tmp_path / "x.json"), "--slowest"])
    assert told.exit_code == 0 and "2 requests are in" in told.stderr
    assert len(json.loads((tmp_path / "x.json").read_text())["traceEvents"]) > 10
    for arguments, code, said in (
        (["nobody", "--export", str(tmp_path / "y.json")], 1, "No request"),
        (["r-1", "--export", str(tmp_path / "away" / "y.json")], 1, "cannot be written"),
        (["r-1", "--since", "never", "--html", "x"], 2, "is no time"),
        (["--failed"], 1, "No request"),
    ):
        told = CliRunner().invoke(app, ["view", *arguments, "--dir", str(folder)])
        assert told.exit_code == code and said in told.stderr and "Traceback" not in told.stderr


def test_it_is_served_until_ctrl_c(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, one())
    process = subprocess.Popen(
        [sys.executable, "-m", "otel_tts.cli.main", "view", "--dir", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        with urlopen(address, timeout=30) as answer:
            assert b"r-1" in answer.read()
        process.send_signal(2)
        assert process.wait(30) == 0
    finally:
        process.kill()
        _, errors = process.communicate()
    assert "1 requests; Ctrl-C ends it" in errors and "Traceback" not in errors
