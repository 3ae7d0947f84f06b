# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Which store is asked: what was said, else the stack here, else files; and the choice is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_tts.readers.choice import NoStore, Places, choose_logs, choose_metrics, choose_traces
from otel_tts.readers.files import FileLogs, FileTraces
from otel_tts.readers.jaeger import Jaeger
from otel_tts.readers.loki import Loki
from otel_tts.readers.prometheus import Prometheus
from otel_tts.readers.tempo import Tempo
from otel_tts.readers.victorialogs import VictoriaLogs
from tests.store_contracts.documented import FakeLoki, FakeTempo, Reply, served

STACK = {
    "traces": "jaeger+http://127.0.0.1:16686", "logs": "victorialogs+http://127.0.0.1:9428",
    "metrics": "http://127.0.0.1:9090",
}  # fmt: skip


def jaeger(path: str, query: dict[str, str]) -> Reply:
    return (200, '{"data":["tts"],"total":1}') if path == "/api/services" else (404, "")


def victorialogs(path: str, query: dict[str, str]) -> Reply:
    return (200, "# x\nvl_rows_ingested_total 5\n") if path == "/metrics" else (400, "no such path")


def test_the_order(tmp_path: Path) -> None:
    away, of_variable, here = tmp_path / "away", tmp_path / "variable", tmp_path / "here"
    here.mkdir()
    (here / "traces-h-1.jsonl.gz").touch()
    environ = {"OTEL_TTS_FILE_DIR": str(of_variable)}
    every = Places(away, "tempo+http://h:3200", "loki+http://h:3100", None, STACK, None, environ, here)

    choice = choose_traces(every)
    assert isinstance(choice.store, FileTraces)
    assert str(choice) == f"traces are read from the files in {away} (--dir)"

    choice = choose_traces(Places(None, every.traces, every.logs, None, STACK, None, every.environ, here))
    assert isinstance(choice.store, Tempo)
    assert str(choice) == "traces are read from Tempo at http://h:3200 (--traces)"

    choice = choose_traces(Places(stack=STACK, environ=every.environ, here=here))
    assert isinstance(choice.store, Jaeger)
    assert str(choice) == "traces are read from Jaeger at http://127.0.0.1:16686 (the stack that runs here)"

    choice = choose_traces(Places(stack={}, environ=every.environ, here=here))
    assert str(choice) == f"traces are read from the files in {of_variable} (OTEL_TTS_FILE_DIR)"

    choice = choose_traces(Places(environ={}, here=here))
    assert str(choice) == f"traces are read from the files in {here} (traces*.jsonl* in this folder)"

    with pytest.raises(NoStore, match=r"there are no logs to read: no stack runs here .* give --dir DIR or --logs URL"):
        choose_logs(Places(environ={}, here=here))


def test_each_signal_has_its_own(tmp_path: Path) -> None:
    places = Places(logs="loki+http://h:3100", stack=STACK, environ={}, here=tmp_path)
    assert isinstance(choose_logs(places).store, Loki)
    assert isinstance(choose_traces(places).store, Jaeger)
    assert isinstance(choose_metrics(places).store, Prometheus)
    assert isinstance(choose_logs(Places(stack=STACK)).store, VictoriaLogs)
    assert isinstance(choose_logs(Places(tmp_path)).store, FileLogs)


@pytest.mark.parametrize(
    ("answer", "choose", "kind"),
    [
        (jaeger, lambda url: choose_traces(Places(traces=url)), Jaeger),
        (FakeTempo().answer, lambda url: choose_traces(Places(traces=url)), Tempo),
        (victorialogs, lambda url: choose_logs(Places(logs=url)), VictoriaLogs),
        (FakeLoki().answer, lambda url: choose_logs(Places(logs=url)), Loki),
    ],
)
def test_the_kind_of_a_store_is_found_out(answer: object, choose: object, kind: type) -> None:
    with served(answer) as url:  # type: ignore[arg-type]
        choice = choose(url)  # type: ignore[operator]
        assert isinstance(choice.store, kind) and url in str(choice)


def test_what_is_no_store_is_said() -> None:
    with (
        served(lambda path, query: (200, "<html>")) as page,
        pytest.raises(NoStore, match=r"is none that is known; name the kind if it is one: jaeger\+http://… or tempo"),
    ):
        choose_traces(Places(traces=page))
    with served(lambda path, query: (401, "")) as closed, pytest.raises(NoStore, match=r"asks for a login \(401\)"):
        choose_logs(Places(logs=closed))
    with pytest.raises(NoStore, match="Connection refused; name the kind"):
        choose_traces(Places(traces="http://127.0.0.1:1"))
    with pytest.raises(ValueError, match="loki is no store of traces that is known; there are jaeger, tempo"):
        choose_traces(Places(traces="loki+http://h:3100"))
    with pytest.raises(ValueError, match="is no http:// or https:// URL"):
        choose_traces(Places(traces="h:16686"))
    with pytest.raises(ValueError, match="is no http:// or https:// URL"):
        choose_traces(Places(traces="jaeger+http://"))
