# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""variants/agent.yaml and gateway.yaml: one agent, two gateways that sample; TLS, a token, a gateway that is killed."""

from __future__ import annotations

import secrets
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from leaving import Json, Leaving, collector, logs, metrics
from test_sampling import SAMPLING, ids, left, request

TOKEN, NEXT_TOKEN = secrets.token_urlsafe(24), secrets.token_urlsafe(24)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, which signs itself, the gateways' tokens and an agent's."""
    folder = tmp_path_factory.mktemp("keys")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-subj", "/CN=gateway"]
    subprocess.run([*make, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    (folder / "tokens").write_text(f"{NEXT_TOKEN}\n{TOKEN}\n", encoding="utf-8")
    (folder / "token").write_text(TOKEN, encoding="utf-8")
    return folder


def gateway(keys: Path, folder: Path) -> Any:
    """A gateway that keeps every trace, with stores of its own, so that it can be seen who took what."""
    files = {"STACK_TOKEN_FILE": "tokens", "STACK_CERT_FILE": "cert.pem", "STACK_KEY_FILE": "key.pem"}
    known = {name: str(keys / file) for name, file in files.items()}
    return collector(folder, **SAMPLING | known | {"STACK_COLLECTOR": "sampling,gateway", "STACK_KEEP_PERCENT": "100"})


@pytest.fixture(scope="module")
def gateways(stack: object, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Leaving]]:
    with gateway(keys, tmp_path_factory.mktemp("one")) as one, gateway(keys, tmp_path_factory.mktemp("two")) as two:
        yield [one, two]


@pytest.fixture(scope="module")
def agent(gateways: list[Leaving], keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaving]:
    where = [one.stack.url("otlp_grpc").removeprefix("http://") for one in gateways]
    environ = {"STACK_TOKEN_FILE": str(keys / "token"), "STACK_CA_FILE": str(keys / "cert.pem")}
    environ |= {"STACK_GATEWAYS": f"[{', '.join(where)}]", "STACK_GATEWAY": where[0]}
    with collector(tmp_path_factory.mktemp("agent"), STACK_COLLECTOR="agent", **environ) as found:
        yield found


def taken(gateways: list[Leaving]) -> list[dict[str, int]]:
    """How many spans of each trace came out of each gateway."""
    return [dict(left(one)) for one in gateways]


def halves(sent: Json) -> list[Json]:
    """The spans of a request one by one, as they come at different times."""
    (resource,) = sent["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    return [{"resourceSpans": [{**resource, "scopeSpans": [{**scope, "spans": [one]}]}]} for one in scope["spans"]]


def test_no_trace_is_split_and_everything_arrives(
    agent: Leaving, gateways: list[Leaving], eventually: Callable[..., Any]
) -> None:
    sent = [request() for _ in range(60)]
    for part in (0, 1):
        for one in sent:
            agent.post("traces", halves(one)[part])
    agent.post("logs", logs({"body": {"stringValue": "REQ_START"}}))
    agent.post("metrics", metrics({"asDouble": 1.0, "timeUnixNano": "2"}))
    wanted = set().union(*map(ids, sent))
    eventually(lambda: sum(map(len, taken(gateways))) >= len(wanted) and min(map(len, taken(gateways))) > 0)
    eventually(lambda: all(set(one.values()) == {2} for one in taken(gateways)))
    first, second = map(set, taken(gateways))
    assert not first & second
    assert first | second == wanted
    gateways[0].wait_for("logs", 1)
    eventually(lambda: any("tts.something" in str(one) for one in gateways[0].received("metrics")))


def test_what_is_a_dead_gateways_waits_for_it_on_the_disk(
    agent: Leaving, gateways: list[Leaving], eventually: Callable[..., Any]
) -> None:
    """Also where the agent is killed meanwhile; the other one takes its own and nothing that is not."""
    before = [set(one) for one in taken(gateways)]
    dead = gateways[1]
    dead.stack.kill("otelcol")
    sent = [request() for _ in range(12)]
    for one in sent:
        agent.post("traces", one)
    time.sleep(1)
    agent.stack.kill("otelcol")
    agent.stack.start("otelcol")
    wanted = set().union(*map(ids, sent))
    eventually(lambda: wanted & set(taken(gateways)[0]))
    assert not wanted & set(taken(gateways)[1])
    dead.stack.start("otelcol")
    eventually(lambda: wanted <= set().union(*map(set, taken(gateways))))
    first, second = (set(one) - old for one, old in zip(taken(gateways), before, strict=True))
    assert not first & second
    assert first | second == wanted


@pytest.mark.parametrize("token", [None, "", "Bearer wrong", f"Basic {TOKEN}"], ids=["none", "empty", "wrong", "kind"])
def test_who_has_no_token_is_refused(gateways: list[Leaving], keys: Path, token: str | None) -> None:
    with gateway_client(keys) as client:
        answer = client.post(
            url(gateways[0]), json=request(), headers={} if token is None else {"Authorization": token}
        )
    assert answer.status_code == 401
    assert TOKEN not in answer.text


def test_an_old_and_a_new_token_are_taken_side_by_side(gateways: list[Leaving], keys: Path) -> None:
    with gateway_client(keys) as client:
        for token in (TOKEN, NEXT_TOKEN):
            answer = client.post(url(gateways[0]), json=request(), headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text


def test_without_tls_there_is_no_answer(gateways: list[Leaving]) -> None:
    plain = url(gateways[0]).replace("https", "http")
    answer = httpx.get(plain, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 400
    assert "HTTPS" in answer.text


def test_no_token_is_written_anywhere(agent: Leaving, gateways: list[Leaving]) -> None:
    for one in (agent, *gateways):
        log = one.stack.state / "logs" / "otelcol.log"
        assert TOKEN not in log.read_text(encoding="utf-8", errors="replace")
        command = one.stack.status()[-1]
        assert command.pid is not None
        assert TOKEN not in Path(f"/proc/{command.pid}/cmdline").read_bytes().decode(errors="replace")


def url(one: Leaving) -> str:
    return one.stack.url("otlp_http").replace("http", "https") + "/v1/traces"


def gateway_client(keys: Path) -> httpx.Client:
    return httpx.Client(verify=ssl.create_default_context(cafile=str(keys / "cert.pem")))
