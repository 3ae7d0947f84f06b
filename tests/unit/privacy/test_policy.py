# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The policy's decisions, one by one, on plain values."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from otel_tts import names
from otel_tts.privacy import allowed
from otel_tts.privacy import policy as privacy
from otel_tts.privacy.policy import Policy
from otel_tts.settings import Settings
from tests.unit.support.gate_kit import counting

SENTENCE = "Please call me back tomorrow."
CHINESE = "请明天给我回电话"


@pytest.fixture
def policy() -> Policy:
    return counting(Policy())


@pytest.fixture(autouse=True)
def forget_voices() -> Iterator[None]:
    known = set(privacy.public_voices)
    yield
    privacy.public_voices.clear()
    privacy.public_voices.update(known)


CLEAN: dict[str, Any] = {
    "request_id": "7f3c9a2e",
    "gen_ai.operation.name": "text_to_speech",
    "gen_ai.request.model": "IndexTeam/IndexTTS-2",
    "tts.engine.name": "indextts",
    "tts.engine.version": "2.0.0+cu124",
    "tts.text.length": 42,
    "tts.text.language": "zh-CN",
    "tts.voice": "en_US-lessac-medium",
    "tts.outcome": "anomalous",
    "tts.audio.anomaly": ("silent", "nan"),
    "tts.audio.duration": 3.25,
    "tts.stream": True,
    "error.type": "torch.cuda.OutOfMemoryError",
    "hw.id": "GPU-8d3f2a6e-1111-2222-3333-444455556666",
    "http.route": "/v1/audio/{voice}/speech",
    "http.request.method": "POST",
    "http.response.status_code": 200,
    "exception.type": "app.make.<locals>.Failed",
}


def test_clean_attributes_come_back_as_the_same_object(policy: Policy) -> None:
    assert policy.attributes(CLEAN) is CLEAN
    assert not policy.redacted


def test_what_is_not_listed_goes_and_is_counted(policy: Policy) -> None:
    given = {**CLEAN, "url.query": "text=hello", "app.note": 1}
    assert policy.attributes(given) == CLEAN
    assert policy.redacted == {"attribute": 2}


@pytest.mark.parametrize("text", [SENTENCE, CHINESE, "two words", "a\nb", "x" * 300, "café au lait", "%E4%BD%A0"])
@pytest.mark.parametrize("key", sorted(allowed.ATTRIBUTES))
def test_no_listed_key_carries_a_text(policy: Policy, key: str, text: str) -> None:
    assert policy.attributes({key: text}) == {}
    assert policy.attributes({key: [text]}) == {}
    assert policy.redacted == {"value": 2}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tts.text.length", "42"),
        ("tts.outcome", "great"),
        ("tts.outcome", 1),
        ("tts.engine.name", ("a", "b")),
        ("tts.audio.anomaly", ("silent", "hello")),
        ("tts.audio.anomaly", ["silent", 1]),
        ("tts.audio.anomaly", ("silent",) * 65),
        ("http.request.method", "SPEAK"),
        ("http.route", "speech"),
        ("http.route", "/tts/hello world"),
        ("http.route", "/tts/" + "x" * 300),
        ("error.type", "600"),
        ("error.type", "ValueError: no"),
        ("request_id", "a" * 129),
        ("request_id", b"abc"),
        ("tts.voice", None),
        ("tts.voice", {"a": "b"}),
    ],
)
def test_values_of_another_form_go(policy: Policy, key: str, value: Any) -> None:
    assert policy.attributes({key: value}) == {}
    assert policy.redacted == {"value": 1}


DJANGO = "opentelemetry.instrumentation.django"
DJANGO_ROUTES = [
    "speak/<str:said>/", "speak", "api/v1/<uuid:job>/<path:rest>", r"^articles/(?P<year>[0-9]{4})/$",
    r"api/^say/(?P<slug>[-\w]+)/?$", "/speak/<said>",
]  # fmt: skip


@pytest.mark.parametrize("route", DJANGO_ROUTES)
def test_a_route_without_a_leading_slash_passes_on_spans_of_djangos_instrumentation(policy: Policy, route: str) -> None:
    given = {"http.route": route, "http.request.method": "GET"}
    assert policy.attributes(given, DJANGO) is given and policy.labels(given, DJANGO) is given
    assert policy.span_name(f"GET {route}", SpanKind.SERVER, given, DJANGO) == f"GET {route}"
    for elsewhere in ("", "app", "opentelemetry.instrumentation.wsgi", f"{DJANGO}.more", names.SCOPE):
        passes = route.startswith("/")
        assert (policy.attributes(given, elsewhere) is given) is passes
        assert (policy.labels(given, elsewhere) is given) is passes
    assert policy.span_name("GET speak", SpanKind.SERVER, {}, DJANGO) == "GET"


@pytest.mark.parametrize(
    "said",
    [SENTENCE, CHINESE, "two words", "a\nb", "x" * 300, "caf\u00e9", "speak/%E4%BD%A0", "say/hello there/", "(a)",
     "a?b=c", "(?P<x>two words)", "<two words>", "<str:>", "speak/hello!"],
)  # fmt: skip
def test_no_text_passes_as_a_route_of_django(policy: Policy, said: str) -> None:
    assert policy.attributes({"http.route": said}, DJANGO) == {}
    assert policy.labels({"http.route": said}, DJANGO) == {}


@pytest.mark.parametrize("route", ["/speak/<said>", "/speak/<string:said>.wav", "/<said:str>/x", "/a/{b:path}"])
def test_parameters_of_a_route_are_spelled_in_many_ways(policy: Policy, route: str) -> None:
    assert policy.attributes({"http.route": route}) == {"http.route": route}


def test_random_keys_never_pass(policy: Policy) -> None:
    dice = random.Random(20260101)
    letters = string.ascii_letters + string.digits + "._-/ "
    for _ in range(3000):
        stem = dice.choice(sorted(allowed.ATTRIBUTES))
        cut = dice.randrange(len(stem))
        key = stem[:cut] + "".join(dice.choices(letters, k=dice.randrange(1, 8))) + stem[cut:]
        if key in allowed.ATTRIBUTES:
            continue
        assert policy.attributes({key: "ok"}) == {}, key
        assert policy.labels({key: "ok"}, "app") == {}, key


def test_random_texts_with_a_space_never_pass(policy: Policy) -> None:
    dice = random.Random(7)
    for key in allowed.ATTRIBUTES:
        for _ in range(50):
            text = "".join(dice.choices(string.printable, k=dice.randrange(1, 40)))
            assert policy.attributes({key: f"{text} {text}"}) == {}, (key, text)


def test_the_operator_adds_names_and_prefixes() -> None:
    policy = counting(Policy(allow=["server.address", "app.*", "gen_ai.request.model"]))
    given = {"server.address": "tts.example", "app.tenant": "Überfirma GmbH", "gen_ai.request.model": "中文 模型"}
    assert policy.attributes(given) is given or policy.attributes(given) == given
    assert policy.labels(given, "app") == given
    assert policy.resource(given) == given
    assert policy.attributes({"app.a b": "x", "application": "x", "server.addresses": "x"}) == {}


@pytest.mark.parametrize("value", ["a\nb", "x" * 257, "a\u202eb", "a\x00b", b"bytes", {"a": 1}, [["a"]]])
def test_what_the_operator_adds_is_one_short_line(value: Any) -> None:
    assert counting(Policy(allow=["app.note"])).attributes({"app.note": value}) == {}


def test_a_lone_star_opens_nothing() -> None:
    assert counting(Policy(allow=["*"])).attributes({"anything": "x"}) == {}


def test_the_series_of_what_was_too_much_keeps_its_label(policy: Policy) -> None:
    assert policy.labels({"otel.metric.overflow": True}, "any.scope") == {"otel.metric.overflow": True}


def test_labels_hold_no_request_id_and_generic_words_belong_to_one_scope(policy: Policy) -> None:
    assert policy.labels({"request_id": "abc", "tts.engine.name": "piper"}, names.SCOPE) == {"tts.engine.name": "piper"}
    usage = {"type": "user", "cpython.gc.generation": 1}
    assert policy.labels(usage, "opentelemetry.instrumentation.system_metrics") is usage
    assert policy.labels(usage, "app") == {}
    assert policy.labels({"reason": "queue_full"}, names.SCOPE) == {"reason": "queue_full"}
    assert policy.labels({"reason": "queue_full"}, "app") == {}


@pytest.mark.parametrize(
    ("name", "kind", "scope", "expected"),
    [
        ("text_to_speech", SpanKind.INTERNAL, names.SCOPE, None),
        ("text_to_speech IndexTTS-2", SpanKind.INTERNAL, names.SCOPE, None),
        ("tts.vocoder", SpanKind.INTERNAL, names.SCOPE, None),
        ("tts.my_stage", SpanKind.INTERNAL, names.SCOPE, None),
        (f"text_to_speech {SENTENCE}", SpanKind.INTERNAL, names.SCOPE, "text_to_speech"),
        (f"text_to_speech {CHINESE}", SpanKind.INTERNAL, names.SCOPE, "text_to_speech"),
        (f"tts.{CHINESE}", SpanKind.INTERNAL, names.SCOPE, "redacted"),
        (SENTENCE, SpanKind.INTERNAL, names.SCOPE, "redacted"),
        ("POST /speech/{id}", SpanKind.SERVER, "fastapi", None),
        ("POST", SpanKind.SERVER, "fastapi", None),
        ("WS", SpanKind.SERVER, "fastapi", None),
        ("/speech/{id}", SpanKind.SERVER, "opentelemetry.instrumentation.fastapi", None),
        ("POST /speech/hello", SpanKind.SERVER, "fastapi", "POST"),
        ("/speech/hello", SpanKind.SERVER, "fastapi", "HTTP"),
        ("hello", SpanKind.SERVER, "fastapi", "HTTP"),
        ("POST /speech/hello http send", SpanKind.INTERNAL, "opentelemetry.instrumentation.asgi", "http send"),
        ("fastapi.endpoint", SpanKind.INTERNAL, "fastapi", None),
        ("BackgroundTask speak_later", SpanKind.INTERNAL, "opentelemetry.instrumentation.fastapi", None),
        ("BackgroundTask <lambda>", SpanKind.INTERNAL, "opentelemetry.instrumentation.fastapi", "BackgroundTask"),
        ("BackgroundTask a b", SpanKind.INTERNAL, "opentelemetry.instrumentation.fastapi", "BackgroundTask"),
        (f"BackgroundTask {CHINESE}", SpanKind.INTERNAL, "opentelemetry.instrumentation.fastapi", "BackgroundTask"),
        ("BackgroundTask hello", SpanKind.INTERNAL, "app.models", "app.models"),
        ("load-model", SpanKind.INTERNAL, "app.models", None),
        (f"say {SENTENCE}", SpanKind.INTERNAL, "app.models", "app.models"),
        (CHINESE, SpanKind.INTERNAL, "app.models", "app.models"),
        ("SELECT * FROM said", SpanKind.CLIENT, CHINESE, "redacted"),
        ("x" * 65, SpanKind.INTERNAL, "app", "app"),
    ],
)
def test_span_names(policy: Policy, name: str, kind: SpanKind, scope: str, expected: str | None) -> None:
    safe = policy.span_name(name, kind, {"http.route": "/speech/{id}"}, scope)
    assert safe == (name if expected is None else expected)
    assert policy.redacted == ({} if expected is None else {"span_name": 1})


@pytest.mark.parametrize(
    "body",
    [
        "REQ_START request_id=7f3c engine=indextts text_len=42 voice=heart emotion=speaker",
        "REQ_SUCCESS request_id=7f3c duration=1.234 rtf=0.38 status=ok",
        "REQ_FAIL request_id=7f3c error_type=app.make.<locals>.Failed stage=vocoder status=error",
        "REQ_FAIL request_id=7f3c error_type=silent,nan status=anomalous",
        "STAGE_TIME request_id=7f3c text_frontend=0.05 my_stage=1e-05",
        "gpu.memory",
        None,
    ],
)
def test_our_own_lines_pass_as_they_are(policy: Policy, body: str | None) -> None:
    attributes = {"request_id": "7f3c", "tts.engine.name": "indextts"}
    judged = policy.log(names.SCOPE, "INFO", body, attributes)
    assert judged is not None and judged[0] is body and judged[1] is attributes
    assert not policy.redacted


@pytest.mark.parametrize(
    "body",
    [
        f"REQ_START request_id=7f3c {SENTENCE}",
        "REQ_START request_id=7f3c text=hello",
        f"REQ_START request_id=7f3c voice={CHINESE}",
        "STAGE_TIME request_id=7f3c vocoder=hello",
        "REQ_OTHER request_id=7f3c",
        SENTENCE,
        {"text": SENTENCE},
        ["a"],
    ],
)
def test_a_line_of_our_scope_with_more_in_it_does_not_pass(policy: Policy, body: Any) -> None:
    judged = policy.log(names.SCOPE, "INFO", body, {})
    assert judged == ("INFO otel_tts", {})
    assert policy.redacted == {"log_body": 1}


def test_a_voice_that_the_operator_lists_passes_in_any_alphabet() -> None:
    policy = counting(Policy.from_settings(Settings(voices=("中文女", "Aunt May"))))
    for voice in ("中文女", "Aunt May"):
        body = f"REQ_START request_id=7f3c voice={voice} emotion=speaker"
        assert policy.log(names.SCOPE, "INFO", body, {"tts.voice": voice}) == (body, {"tts.voice": voice})
        assert policy.labels({"tts.voice": voice}, names.SCOPE) == {"tts.voice": voice}
    assert policy.attributes({"tts.voice": "中文男"}) == {}


def test_an_application_line_becomes_its_place(policy: Policy) -> None:
    given = {
        "code.file.path": "/home/ann/secret/app.py",
        "code.line.number": 12,
        "code.function.name": "speak",
        "exception.type": "ValueError",
        "exception.message": SENTENCE,
        "exception.stacktrace": SENTENCE,
        "text": SENTENCE,
        "otelTraceID": "0",
    }
    body, attributes = policy.log("app.speech", "ERROR", f"cannot say {SENTENCE}", given) or (None, {})
    assert body == "ERROR app.speech app.py:12"
    assert attributes == {
        "code.file.path": "app.py",
        "code.line.number": 12,
        "code.function.name": "speak",
        "exception.type": "ValueError",
    }
    assert policy.redacted == {"attribute": 3, "log_body": 1}, "what the logging instrumentation repeats is no loss"


def test_application_lines_can_be_let_out_or_kept_in() -> None:
    body = counting(Policy(app_logs="body"))
    said = {"exception.message": "no", "exception.stacktrace": "Traceback", "text": SENTENCE}
    assert body.log("app", "INFO", "hello world", said) == ("hello world", {k: said[k] for k in said if k != "text"})
    assert body.log("app", "INFO", "x" * 10_000, {}) == ("x" * privacy.MAX_BODY, {})
    assert body.log("app", "INFO", {"said": SENTENCE}, {}) == ("INFO app", {})
    none = counting(Policy(app_logs="none"))
    assert none.log("app", "INFO", "hello", {}) is None
    assert none.redacted == {"log_record": 1}
    assert none.log(names.SCOPE, "INFO", "REQ_START request_id=1", {}) is not None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ot": "th:c;rv:0123456789abcd"}, None),
        ({"ot": "th:c", "vendor": "secret"}, {"ot": "th:c"}),
        ({"ot": "th:hello"}, {}),
        ({"vendor": "hello"}, {}),
    ],
)
def test_of_a_trace_state_only_sampling_remains(policy: Policy, given: dict[str, str], expected: Any) -> None:
    safe = policy.trace_state(given)
    assert safe is given if expected is None else safe == expected


def test_the_resource_is_the_operators_but_only_listed_keys_leave(policy: Policy) -> None:
    kept = {"service.name": "Sprachdienst für alle", "k8s.pod.name": "tts-0", "tts.runtime.torch": "2.6.0+cu124"}
    assert policy.resource(kept) is kept
    given = {
        **kept,
        "process.command_line": "python say.py 'hello'",
        "team": "x",
        SENTENCE: "x",
        "k8s.pod.label.a": "b",
    }
    assert policy.resource(given) == kept
    assert policy.dropped_resource_keys() == ("process.command_line", "team", "redacted", "k8s.pod.label.a")
    assert policy.redacted == {"resource": 4}


def test_scopes_and_metrics_are_words(policy: Policy) -> None:
    ours = ("otel_tts", "0.1.0", "https://opentelemetry.io/schemas/1.37.0")
    assert policy.scope(*ours) == ours
    assert policy.scope(SENTENCE, SENTENCE, SENTENCE) == ("redacted", None, "")
    assert policy.metric("tts.requests", "{request}", "syntheses by how they ended", names.SCOPE) == (
        "tts.requests", "{request}", "syntheses by how they ended",
    )  # fmt: skip
    assert policy.metric("app.said", "two words", SENTENCE, "app") == ("app.said", "", "")
    assert policy.metric(SENTENCE, "1", "", "app") is None


def test_events_keep_their_type_and_lose_their_message(policy: Policy) -> None:
    given = {"exception.type": "ValueError", "exception.message": SENTENCE, "exception.escaped": "False"}
    place = {"code.file.path": "app.py", "code.line.number": 7, "code.function.name": "<lambda>"}
    kept = {"exception.type": "ValueError", "exception.escaped": "False", **place}
    given |= {**place, "code.function": SENTENCE, "code.filepath": "/home/ann/app.py"}
    assert policy.event("exception", given) == ("exception", kept)
    assert policy.event(SENTENCE, {}) == ("redacted", {})


def test_every_name_of_ours_has_a_rule(policy: Policy) -> None:
    assert {a.key for a in names.ATTRIBUTES} <= set(allowed.ATTRIBUTES)
    for metric in names.METRICS:
        for label in metric.labels:
            assert policy.labels({label: _example(label)}, names.SCOPE), label


def _example(key: str) -> str | int:
    web = {names.HTTP_METHOD: "GET", names.HTTP_ROUTE: "/x/{y}", names.HTTP_VERSION: "1.1", names.URL_SCHEME: "http"}
    closed = {
        **web,
        names.HTTP_STATUS: 200,
        names.OUTCOME: "ok",
        names.AUDIO_ANOMALY: "silent",
        names.COST_CURRENCY: "EUR",
        names.FINISH_REASON: "stop",
        names.WAIT_SOURCE: "kernel",
    }
    return closed.get(key, "vocoder")
