# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""From a request that fails to a message in WeChat Work: the real stack, the real Alertmanager, the real relay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from test_alertmanager import alert, running, until

from otel_tts import names
from otel_tts.readers.filters import Filter
from otel_tts.readers.victorialogs import VictoriaLogs
from otel_tts.stack import places
from tests.support.alerting import failures
from tests.support.wechat import WeChatWork

if TYPE_CHECKING:
    from conftest import Backends


@pytest.fixture
def company() -> Iterator[WeChatWork]:
    with WeChatWork() as one:
        yield one


@contextmanager
def relaying(folder: Path, company: WeChatWork, stack: Backends, *more: str) -> Iterator[str]:
    """The relay as a process, with the stack's stores and token; its hook's address."""
    to = folder / "to"
    to.write_text(f"group {company.url}/cgi-bin/webhook/send?key={company.key}\n", encoding="utf-8")
    to.chmod(0o600)
    arguments = [
        "--listen", "127.0.0.1:0", "--to-file", str(to), "--state", str(folder / "relay"),
        "--token-file", str(places.relay_token(stack.state)), "--traces", f"jaeger+{stack.jaeger}",
        "--logs", f"victorialogs+{stack.victorialogs}", "--link", f"{stack.jaeger}/trace/{{trace_id}}", *more,
    ]  # fmt: skip
    command = [sys.executable, "-m", "otel_tts.cli.main", "relay", *arguments]
    log = folder / "relay.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ)
    try:
        until(lambda: "alerts are taken at" in log.read_text(), log.read_text)
        yield log.read_text().split("alerts are taken at ")[-1].split()[0]
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def send(stack: Backends, eventually: Callable[..., Any], service: str, count: int) -> None:
    spans, records = failures(count, service)
    for signal, document in (("traces", spans), ("logs", records)):
        assert httpx.post(f"{stack.otlp_http}/v1/{signal}", json=document).status_code == 200
    eventually(
        lambda: len(VictoriaLogs(stack.victorialogs).find(Filter(service=service, event=names.REQ_FAIL))) == count
    )
    eventually(lambda: len(stack.search(service)) == count)


def test_one_message_with_ten_lines(
    stack: Backends, tmp_path: Path, company: WeChatWork, eventually: Callable[..., Any]
) -> None:
    send(stack, eventually, "relayed", 12)
    token = places.relay_token(stack.state)
    with relaying(tmp_path, company, stack) as hook, running(tmp_path, hook, token_file=token) as alertmanager:
        alertmanager.post(alert("TTSErrorRatioHigh", service="relayed"), alert("TTSAudioInaudible", service="relayed"))
        until(lambda: company.messages, lambda: (tmp_path / "relay.log").read_text())
        (one,) = company.messages
        assert one.content.startswith("**Firing** relayed")
        assert "TTSErrorRatioHigh" in one.content and "TTSAudioInaudible" in one.content
        lines = [row for row in one.content.splitlines() if "request_id=" in row]
        assert len(lines) == 10 and "failed-11" in lines[0] and "failed-2" in lines[9]
        assert "> acoustic_model 8.400 s" in one.content
        assert f"[failed-11]({stack.jaeger}/trace/" in one.content
        assert "Incomplete" not in one.content
        assert "CANARY" not in one.content and "walks" not in one.content
        page = httpx.get(hook.replace("/alertmanager", "/metrics")).text
        assert 'tts_relay_sent_total{tts_relay_to="group"} 1' in page
        alertmanager.post(alert("TTSErrorRatioHigh", True, "relayed"), alert("TTSAudioInaudible", True, "relayed"))
        until(lambda: len(company.messages) == 2)
        assert company.messages[1].content.startswith("**Over** relayed")


def test_nothing_is_lost_while_wechat_is_down(stack: Backends, tmp_path: Path, company: WeChatWork) -> None:
    token = places.relay_token(stack.state)
    with relaying(tmp_path, company, stack) as hook, running(tmp_path, hook, token_file=token) as alertmanager:
        company.__exit__()
        services = [f"down-{number}" for number in range(5)]
        for service in services:
            alertmanager.post(alert("TTSErrorRatioHigh", service=service))
        until(lambda: len(list((tmp_path / "relay").glob("*.json"))) == 5)
        until(lambda: "does not take messages" in (tmp_path / "relay.log").read_text())
        company.__enter__()
        until(lambda: len(company.messages) == 5, lambda: company.messages)
    assert sorted(one.content.split()[1] for one in company.messages) == services


def test_without_the_token_nothing_is_told(stack: Backends, tmp_path: Path, company: WeChatWork) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("another", encoding="utf-8")
    with relaying(tmp_path, company, stack) as hook, running(tmp_path, hook, token_file=wrong) as alertmanager:
        alertmanager.post(alert("TTSErrorRatioHigh"))
        until(lambda: alertmanager.failed("webhook") > 0)
        assert 'tts_relay_refused_total{reason="token"}' in httpx.get(hook.replace("/alertmanager", "/metrics")).text
    assert company.messages == []
    assert "another" not in (tmp_path / "log").read_text() + (tmp_path / "relay.log").read_text()


def test_backends_that_are_down_are_said(stack: Backends, tmp_path: Path, company: WeChatWork) -> None:
    stack.stop("victorialogs")
    stack.stop("jaeger")
    try:
        with relaying(tmp_path, company, stack) as hook:
            document = {
                "version": "4", "status": "firing", "commonLabels": {"service_name": "x"}, "truncatedAlerts": 0,
                "alerts": [{**alert("TTSErrorRatioHigh"), "status": "firing"}],
            }  # fmt: skip
            token = places.relay_token(stack.state).read_text().strip()
            headers = {"Authorization": f"Bearer {token}"}
            assert httpx.post(hook, content=json.dumps(document), headers=headers).status_code == 200
            until(lambda: company.messages)
    finally:
        stack.start("jaeger")
        stack.start("victorialogs")
    said = company.messages[0].content
    assert "TTSErrorRatioHigh" in said
    assert "Incomplete: VictoriaLogs at" in said and "Incomplete: Jaeger at" in said
