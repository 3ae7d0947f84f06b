# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""docs/servers.md: where a request comes in, under which programs, what is seen of it, and what has run in tests.

One row for each way that requests come in: `SERVERS`. Versions come from the locks of the tests' environments.
"""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Server:
    """One row. `package` is a distribution (empty: the standard library), `test` what runs it for real, `started` by
    which programs there. `route`: how its template reads, empty where there is none. `lacks`: what is not seen."""

    name: str
    package: str
    started: str
    test: str
    route: str = ""
    lacks: str = ""


_PIPER = "tests/integration/test_piper_http_server.py"
_EDGES = "tests/web_routes/test_edges.py"
_WAITRESS = "a client that leaves before a plain answer, under waitress or granian"

SERVERS = (
    Server("FastAPI, Starlette", "fastapi", "uvicorn, gunicorn", "tests/integration/test_servers.py", "/{a}"),
    Server("Flask", "flask", "gunicorn, `flask run`, waitress, granian", _EDGES, "/<a>", _WAITRESS),
    Server("Django (WSGI)", "django", "gunicorn", _EDGES, "/<str:a>"),
    Server("Django (ASGI)", "django", "uvicorn, daphne", _EDGES, "/<str:a>"),
    Server("Bottle", "bottle", "waitress", _EDGES, "/<a>", _WAITRESS),
    Server("Falcon", "falcon", "gunicorn", _EDGES, "/{a}"),
    Server("Pyramid", "pyramid", "waitress", _EDGES, "/{a}", _WAITRESS),
    Server("Litestar", "litestar", "uvicorn", _EDGES, "/{a}"),
    Server("Quart", "quart", "hypercorn", _EDGES, "/<a>"),
    Server(
        "ASGI applications of no framework", "uvicorn", "uvicorn, hypercorn, daphne, granian", _EDGES,
        lacks="a client that leaves before a plain answer, under granian",
    ),
    Server("Sanic", "sanic", "`sanic`", _EDGES, "/<a:str>"),
    Server("aiohttp", "aiohttp", "`web.run_app`", _EDGES, "/{a}"),
    Server("Tornado", "tornado", "`Application.listen`", _EDGES, lacks="its routes are patterns, which are not told"),
    Server(
        "http.server", "", "`ThreadingHTTPServer`", _EDGES,
        lacks="the answer's body: facts of its audio are those of the samples, or of the encoder",
    ),
    Server(
        "BentoML", "bentoml", "`bentoml serve`", "tests/services/test_bentoml.py", "/speak",
        lacks="BentoML's own spans, which its own settings send or drop",
    ),
    Server(
        "Ray Serve", "ray", "`serve.run`: a FastAPI ingress, a plain `__call__`", "tests/services/test_ray_serve.py",
        lacks="the last requests of a replica or a proxy that is killed without its shutdown: so Ray does with all of "
        "them where SIGTERM goes to the driver, which ends its node, and not to them; handles between deployments have "
        "not been tried",
    ),
    Server("piper.http_server", "piper-tts", "`python -m piper.http_server`", _PIPER, "/synthesize"),
)  # fmt: skip


@dataclass(frozen=True)
class Queue:
    """A row of what comes in by something else than the web. `carried`: what the caller's trace and the id come in."""

    name: str
    package: str
    started: str
    test: str
    carried: str
    span: str
    lacks: str = ""


@dataclass(frozen=True)
class Agent:
    """A row of the frameworks of voice agents, whose pipelines call an engine in their own process."""

    name: str
    package: str
    span: str
    test: str


_REDIS = "tests/services/test_redis_queues.py"

QUEUES = (
    Queue(
        "Celery", "celery", "`celery worker`: prefork, solo, threads, gevent, eventlet",
        "tests/services/test_celery_edge.py",
        "the message's headers; the task's id", "`process TASK`, CONSUMER",
        "what a pool's process had not sent when it was killed for a task that was revoked",
    ),
    Queue(
        "RQ", "rq", "`rq worker`: a process for each job", _REDIS, "the job's `meta`; the job's id",
        "`process FUNCTION`, CONSUMER", "a job whose process is killed",
    ),
    Queue(
        "Dramatiq", "dramatiq", "`dramatiq`, on Redis", _REDIS, "the message's options; the message's id",
        "`process ACTOR`, CONSUMER",
    ),
    Queue(
        "gRPC", "grpcio", "`grpc.server`, `grpc.aio.server`", "tests/services/test_grpc_edge.py",
        "metadata: `traceparent`, `x-request-id`, which goes out in the answer's initial and trailing metadata",
        "`SERVICE/METHOD`, SERVER",
        "facts of the audio in a message; where the code sends initial metadata itself the id is in the trailing alone",
    ),
    Queue(
        "Wyoming, wyoming-piper", "wyoming-piper", "`python -m wyoming_piper`", "tests/services/test_wyoming.py",
        "`traceparent` and `x-request-id` in the data of `synthesize` or `synthesize-start`, or in its `context`",
        "`wyoming synthesize`, SERVER", "the id is not told to the client",
    ),
    Queue(
        "LitServe", "litserve", "`LitServer.run`", "tests/services/test_litserve.py",
        "HTTP, and from the web process to the model's", "that of FastAPI", "batches: each is a trace of its own",
    ),
)  # fmt: skip

_AGENTS = "tests/voice_agents/test_voice_agents.py"

AGENTS = (
    Agent("pipecat", "pipecat-ai", "`tts`, where its tracing is on: pipecat never makes it current itself", _AGENTS),
    Agent("livekit-agents", "livekit-agents", "`tts_request_run`, of an `AgentSession` without a room", _AGENTS),
)


def page(head: str, table: Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str]) -> str:
    """Return the text of docs/servers.md, `head` its first comment."""
    return f"""# Servers

{head}

Where a request comes in it gets its id, its caller's trace and a [server span](server-spans.md), without a change to
the program: hooks are set where applications are made or served, when the framework or the server is imported. Each row
ran for real, under the launcher, with the versions that are named: a request in its caller's trace with its id in the
answer, the bytes of the answer as without otel-tts, one that failed, one whose client left, one right before SIGTERM;
of these what the last column names has not run.

{table(("server", "version", "started by", "route", "not seen"), map(_row, SERVERS))}

## Queues, gRPC, Wyoming

{table(("what", "version", "started by", "trace and id come in", "span", "not seen"), map(_queue_row, QUEUES))}

Each ran for real, under the launcher: a request in its client's own trace, down to the vocoder; one that failed before
an engine was called, one that was tried again or given up, ids of 10 kB, and nothing lost at SIGTERM. Where otel-tts
runs in the process that sends (a Celery, RQ or Dramatiq producer, a Wyoming client) the current trace goes along by
itself. Spans of OpenTelemetry's own instrumentations (`opentelemetry-instrumentation-celery`, `-grpc`), where they are
installed, take the place of ours; `OTEL_TTS_SERVER_SPAN=contrib` leaves it to them. Services that
`OTEL_PYTHON_GRPC_EXCLUDED_SERVICES` lists have no span.

## Voice agents

What an engine in the agent's process speaks stands below the framework's own span.

{table(("framework", "version", "its span"), map(_agent_row, AGENTS))}

## Run them all

`make servers` runs the tests of every row, each under each of its programs: `make test` leaves out web programs whose
framework has run under another. Versions above are those of the locks that it installs.

{_last_run(table)}

## What holds for the web

- **Id**: `x-request-id` of the caller, or a new one, is on the server span, the syntheses and the answer. What the
  application answers with itself goes before it. A page of an error that the server makes, not the framework, is
  without.
- **Client gone**: a stream's body that is closed before its end, a write that fails, and of a plain answer what the
  server knows or the connection says just before the answer is handed over: `tts.outcome` is `cancelled` then.
- **How a stream ended**: a client over HTTP/2 that sends `TE: trailers` gets the trailer `x-tts-outcome` behind the
  last byte of an answer that speaks, where the server has ASGI's `http.response.trailers` (hypercorn): `complete`
  (without an error; whether the audio is sound is judged later), `error`, `rejected`, `cancelled`, `unknown`. A body
  that breaks off stays broken off. Everywhere else, and for what the samples tell,
  [`otel-tts status ID`](watch.md#how-a-request-ended) asks the service.
- **Errors**: the exception behind a page of status 500 is an event on the server span, class and place only.
- **Audio**: the body of an answer with an `audio/*` type ([audio.md](audio.md)).
- **Excluded URLs**: `OTEL_PYTHON_EXCLUDED_URLS`, or that of the framework: `OTEL_PYTHON_FLASK_EXCLUDED_URLS`,
  `..._DJANGO_...`, `..._BOTTLE_...`, `..._FALCON_...`, `..._PYRAMID_...`, `..._LITESTAR_...`, `..._QUART_...`,
  `..._AIOHTTP_SERVER_...`, `..._TORNADO_...`, `..._SANIC_...`, `..._HTTP_SERVER_...`.
- **Several versions**: each Python has its own.
- An application of WSGI that no row names has no edge. What is in one of ASGI is known by its server, `uvicorn`,
  `hypercorn`, `daphne` or `granian`, and its route is not.
"""


def _last_run(table: Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str]) -> str:
    """What tests/environments/servers.py has written of its last run."""
    ran = json.loads((ROOT / "docs" / "servers_ran.json").read_text("utf-8"))
    rows = (
        (
            f"`{one['test']}`", ", ".join(f"{name} {version}" for name, version in one["versions"].items()) or "–",
            one["python"], one["date"], *(str(one[went]) for went in ("passed", "failed", "skipped")),
        )
        for one in ran
    )  # fmt: skip
    head = ("tests", "versions", "Python", "last run", "passed", "failed", "skipped")
    return f"What it last saw:\n\n{table(head, rows)}"


def _row(server: Server) -> tuple[str, ...]:
    version = ", ".join(_versions(server)) if server.package else "Python's"
    return server.name, version, server.started, f"`{server.route}`" if server.route else "–", server.lacks or "–"


def _queue_row(queue: Queue) -> tuple[str, ...]:
    return queue.name, ", ".join(_versions(queue)), queue.started, queue.carried, queue.span, queue.lacks or "–"


def _agent_row(agent: Agent) -> tuple[str, ...]:
    return agent.name, ", ".join(_versions(agent)), agent.span


def _versions(server: Server | Queue | Agent) -> list[str]:
    """The versions in the locks of the environments that run the row's test: several where each Python has its own."""
    environments = runpy.run_path(str(ROOT / "tests" / "environments" / "run.py"))["ENVIRONMENTS"]
    locks = [
        ROOT / "tests" / "environments" / f"{name}.lock"
        for name, environment in environments.items()
        if any(server.test == path or server.test.startswith(f"{path}/") for path in environment.tests)
    ]
    pin = re.compile(rf"^{re.escape(server.package)}==([^\s;\\]+)", re.MULTILINE)
    found = [version for lock in locks or [ROOT / "dev.lock"] for version in pin.findall(lock.read_text("utf-8"))]
    if not found:
        raise LookupError(f"{server.package} is in no lock of {server.test}")
    return sorted(set(found), key=lambda version: [int(part) for part in re.findall(r"\d+", version)])
