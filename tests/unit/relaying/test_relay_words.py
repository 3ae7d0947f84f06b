# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A message: the alerts' words, ten lines, the slowest request; nothing that was said, and pieces that fit."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_tts.readers.choice import NoStore
from otel_tts.readers.files import FileLogs, FileTraces
from otel_tts.readers.filters import Filter
from otel_tts.readers.model import Answer, Synthesis
from otel_tts.relaying import mask
from otel_tts.relaying.alerts import parse
from otel_tts.relaying.evidence import Evidence, Witness
from otel_tts.relaying.message import compose, title
from otel_tts.relaying.pieces import split
from tests.support.alerting import CANARY, alert, failures, payload, write


def group(*alerts: dict[str, object], service: str = "tts"):
    return parse(payload(*(alerts or (alert(),)), service=service))[0]


def told(folder: Path, service: str = "tts", language: str = "en") -> str:
    witness = Witness(lambda: FileTraces(folder), lambda: FileLogs(folder))
    one = group(service=service)
    return compose(one, witness.ask(one), language, "http://seen.example/{trace_id}")


def test_ten_lines_the_slowest_and_its_stages(tmp_path: Path) -> None:
    spans, records = failures(12)
    write(tmp_path, spans, records)
    text = told(tmp_path)
    rows = [row for row in text.splitlines() if "request_id=" in row]
    assert [row.split("request_id=")[1].split()[0] for row in rows] == [f"failed-{n}" for n in range(11, 1, -1)]
    assert "status=error error_type=RuntimeError engine=kokoro voice=**** text_len=42 duration=12.000" in rows[0]
    slowest = spans["resourceSpans"][0]["scopeSpans"][0]["spans"][-1]["traceId"]
    assert f"[failed-11](http://seen.example/{slowest}) 12.000 s error" in text
    assert "> acoustic_model 8.400 s" in text and "> vocoder 0.200 s" in text
    assert "7 % fail" in text and "TTSErrorRatioHigh · critical · since" in text
    assert "CANARY" not in text and "walks" not in text
    assert "Incomplete" not in text
    assert len(split(text, 4096)) == 1


def test_chinese(tmp_path: Path) -> None:
    write(tmp_path, *failures(2))
    text = told(tmp_path, language="zh")
    assert text.startswith("**告警** tts\n> 失败率 7 %")
    assert "**最近的失败**" in text and "起最慢的请求" in text


def test_of_its_own_service_only(tmp_path: Path) -> None:
    write(tmp_path, *failures(3, service="another"))
    text = told(tmp_path)
    assert "failed-" not in text and "No failed request since" in text


def test_a_store_that_is_not_there_is_said(tmp_path: Path) -> None:
    def none() -> FileTraces:
        raise NoStore("there are no traces to read")

    def broken() -> FileLogs:
        raise RuntimeError(CANARY)

    one = group()
    text = compose(one, Witness(none, broken).ask(one), "en", "")
    assert "Incomplete: no traces: there are no traces to read" in text
    assert "Incomplete: no log lines: RuntimeError" in text
    assert "7 % fail" in text and "CANARY" not in text and "No failed request" not in text


def test_a_store_that_hangs_holds_up_no_message(tmp_path: Path) -> None:
    go_on = threading.Event()

    def hanging() -> FileTraces:
        go_on.wait(60)
        return FileTraces(tmp_path)

    write(tmp_path, *failures(2))
    witness = Witness(hanging, lambda: FileLogs(tmp_path), patience_s=2.0)
    first, *others = [witness.ask(group()) for _ in range(12)]
    assert first.missing == ("no traces: the store did not answer in time",)
    assert {one.missing for one in others} == {("no traces: the store does not answer earlier questions",)}
    assert all(len(one.lines) == 2 for one in (first, *others))
    go_on.set()
    patience = time.monotonic() + 20
    while (found := witness.ask(group())).missing and time.monotonic() < patience:
        time.sleep(0.02)
    assert found.missing == () and found.slowest is not None


class Server:
    """A store that is asked over a network: the files', which notes what it is asked."""

    def __init__(self, folder: Path) -> None:
        self._files, self.asked = FileTraces(folder), []

    def slowest(self, wanted: Filter) -> Answer[Synthesis]:
        self.asked.append(wanted.least_seconds)
        return self._files.slowest(wanted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)


def test_a_server_is_asked_for_the_very_slow_ones_first(tmp_path: Path) -> None:
    write(tmp_path, *failures(12))  # 1 to 12 s
    server = Server(tmp_path)
    found = Witness(lambda: server, lambda: FileLogs(tmp_path)).ask(group())
    assert found.slowest is not None and found.slowest.synthesis.seconds == 12.0 and found.missing == ()
    assert server.asked == [60.0, 20.0, 7.0]
    write(tmp_path, *failures(1))
    server = Server(tmp_path)
    found = Witness(lambda: server, lambda: FileLogs(tmp_path)).ask(group())
    assert found.slowest is not None and found.slowest.synthesis.seconds == 1.0
    assert server.asked == [60.0, 20.0, 7.0, 2.0, None]


def test_what_a_rule_says_becomes_no_markup() -> None:
    sneaky = "[x](http://evil) <@all> `code`\nnext\u202e 13800000000 a@example.org"
    one = group(alert(summary=sneaky))
    text = compose(one, None, "en", "")
    said = text.splitlines()[1]
    assert said == "> (x)(http://evil) ‹＠all› 'code' next� **** ****"
    assert title(one, "en") == "Firing · tts · TTSErrorRatioHigh"


def test_many_alerts_are_counted() -> None:
    text = compose(group(*[alert(f"A{n}") for n in range(60)]), Evidence(0), "en", "")
    assert "A9" in text and "A10" not in text and "> … and 50 more" in text


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=2000), st.integers(64, 300))
def test_pieces_fit_and_lose_nothing(text: str, most: int) -> None:
    pieces = split(text, most)
    assert all(len(piece.encode()) <= most for piece in pieces)
    if len(pieces) > 1:
        assert [piece.partition("\n")[0] for piece in pieces] == [
            f"({n}/{len(pieces)})" for n in range(1, len(pieces) + 1)
        ]
        pieces = [piece.partition("\n")[2] for piece in pieces]
    assert "".join(pieces).replace("\n", "") == text.replace("\n", "")


@pytest.mark.parametrize("said", ["a b", "13812345678", "me@example.org", "声", "x" * 200])
def test_a_value_of_another_form_is_masked(said: str) -> None:
    assert mask.value("tts.voice", said) == mask.INSTEAD
    assert mask.value("tts.unknown", "x") == mask.INSTEAD
