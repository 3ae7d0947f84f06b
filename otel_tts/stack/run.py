# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping and asking after the servers of one state folder."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from otel_tts.commands import suggest
from otel_tts.stack import build, locks, older, places, ports, process, render, servers, variants
from otel_tts.stack.progress import Progress, Silent
from otel_tts.stack.servers import SERVERS, Server
from otel_tts.trouble import Trouble, WrongUse

READY_S = 120.0
_POLL_S = 0.2
_TAIL = 15

# The servers trace themselves when they find such variables, and a user's are meant for the service that speaks; the
# relay's hold keys.
_FOREIGN = ("OTEL_", "JAEGER_", "RELAY_")

# The servers are on this machine; a proxy is never between.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Settings:
    """What an `up` was asked for, kept for the commands after it."""

    ports: dict[str, int]
    webhook: str


@dataclass(frozen=True)
class Status:
    """How a server is. `pid` and `version` are None while it is not running."""

    server: Server
    running: bool
    ready: bool
    pid: int | None
    version: str | None
    addresses: Mapping[str, str]
    log: Path


class Stack:
    """The servers of one state folder, whether this process started them or another one did."""

    def __init__(self, state: Path | None = None) -> None:
        self.state = (state or places.state()).expanduser().absolute()

    @property
    def ports(self) -> dict[str, int]:
        """The ports of the last `up`; before it the defaults."""
        return ports.defaults(self._settings().ports)

    def url(self, port: str) -> str:
        """The address of a port by its name, as in `http://127.0.0.1:4318`."""
        return f"http://{servers.LOOPBACK}:{self.ports[port]}"

    def up(
        self, chosen: Mapping[str, int] | None = None, webhook: str | None = None, progress: Progress | None = None
    ) -> list[Server]:
        """Build what is missing, start what does not run and wait until all are ready; return what was started.

        `chosen` holds ports by name, the others get their defaults; `ports.free()` gives free ones for all. Without it
        a stack that runs keeps its ports. `webhook` is where Alertmanager sends alerts.
        Raises Trouble.
        """
        progress = progress or Silent()
        with self._alone(progress):
            self._look_for_an_earlier_version(progress)
            self._configure(chosen, webhook)
            down = [server for server in SERVERS if self._find(server) is None]
            ports.require_free(self.ports, [port.name for server in down for port in server.ports])
            binaries = build.binaries()
            for server in down:
                if server.name in binaries:
                    self._launch(server, binaries[server.name])
            build.build(progress, lambda server, folder: self._start_built(server, folder, progress))
            for server in SERVERS:
                self._await_ready(server, progress)
        return down

    def configure(self, chosen: Mapping[str, int] | None = None, webhook: str | None = None) -> None:
        """Set the ports and the web hook for the servers that are started from now on. Raises WrongUse."""
        with self._alone(Silent()):
            self._configure(chosen, webhook)

    def start(self, name: str, wait: bool = True) -> None:
        """Start one server as `up` or `configure` said; nothing to do when it runs. Raises Trouble."""
        server = _server(name)
        with self._alone(Silent()):
            if self._find(server) is None:
                ports.require_free(self.ports, [port.name for port in server.ports])
                self._launch(server, _built(server))
            if wait:
                self._await_ready(server, Silent())

    def stop(self, name: str) -> None:
        """End one server as it should end, by force when it takes longer than its `stop_seconds`."""
        self._stop([_server(name)], Silent())

    def kill(self, name: str) -> None:
        """End one server at once, as a crash would (SIGKILL)."""
        if found := process.end(self._process(_server(name)), signal.SIGKILL):
            process.wait(found, READY_S)

    def down(self, progress: Progress | None = None) -> list[Server]:
        """Stop all servers, the Collector first so that nobody sends any more; return those that ran."""
        progress = progress or Silent()
        if not self.state.is_dir():
            return []
        with self._alone(progress):
            first = servers.BY_NAME[servers.COLLECTOR]
            stopped = self._stop([first], progress)
            older.stop(self._run, progress)
            return stopped + self._stop([server for server in SERVERS if server is not first], progress)

    def status(self) -> list[Status]:
        """How each server is."""
        return [self._status(server) for server in SERVERS]

    def log(self, server: Server) -> Path:
        """The file that a server writes its messages to."""
        return self.state / "logs" / f"{server.name}.log"

    def check(self, name: str) -> list[str]:
        """The command that verifies a server's configuration, to be run with `environment()`."""
        server = _server(name)
        tool, *arguments = server.check
        return [str(_built(server) / tool), *self._fill(tuple(arguments)), *self._variants(server)]

    def environment(self) -> dict[str, str]:
        """The environment of the servers."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return own | servers.environment(self.state, self.ports)

    def _look_for_an_earlier_version(self, progress: Progress) -> None:
        """Raise Trouble where its servers still run: the ports and files of these would be mixed up with theirs."""
        if names := older.running(self._run):
            raise Trouble(
                f"{' and '.join(names)} of {self.state} were started by an earlier version of otel-tts. Stop that stack"
                f" first: `{self._typed('down')}`. Its data is left alone."
            )
        if left := older.leftovers(self.state):
            progress.line(
                f"Left alone, since no server here reads it any more: {', '.join(map(str, left))}. Tempo and Loki in"
                " containers can (docs/stack.md); else delete it."
            )

    def _configure(self, chosen: Mapping[str, int] | None, webhook: str | None) -> None:
        if webhook is not None and not _is_url(webhook):
            raise WrongUse(f"--webhook {webhook} is no URL, as in {render.WEBHOOK}.")
        asked = Settings(ports.defaults(chosen), webhook or render.WEBHOOK)
        wanted = self._keep(asked, chosen, webhook) if any(map(self._find, SERVERS)) else asked
        (self._run / "stack.json").write_text(json.dumps(asdict(wanted), indent=2) + "\n", encoding="utf-8")
        (self.state / "scrape").mkdir(exist_ok=True)  # Prometheus watches a folder only where there is one
        token = places.relay_token(self.state)
        _keep_token(token)
        values = render.native(wanted.ports, self.state / "scrape", wanted.webhook, token_file=token)
        render.write(self._run / "rendered", values)
        render.write_page(self._run / "rendered" / "page", values)

    def _keep(self, asked: Settings, chosen: Mapping[str, int] | None, webhook: str | None) -> Settings:
        """The settings of the servers that run, unless others are asked for."""
        current = self._settings()
        ports_differ = chosen is not None and asked.ports != current.ports
        webhook_differs = webhook is not None and webhook != current.webhook
        if ports_differ or webhook_differs:
            raise WrongUse(
                f"The stack in {self.state} runs with {'other ports' if ports_differ else 'another web hook'}. Stop it"
                f" first (`{self._typed('down')}`), or give this one a folder of its own with --state DIR."
            )
        return current

    def _launch(self, server: Server, binaries: Path) -> None:
        command = [str(binaries / server.binary), *self._fill(server.arguments), *self._variants(server)]
        folder = self.state / server.name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            started = process.start(
                command, self.environment() | dict(server.environment), folder, self.log(server), server.version
            )
        except (OSError, psutil.NoSuchProcess) as failure:
            raise Trouble(f"{server.title} cannot be started: {failure}") from failure
        process.save(self._file(server), started)

    def _start_built(self, server: Server, binaries: Path, progress: Progress) -> None:
        """Start a server whose build just ended; the Collector keeps what comes until the others are there."""
        if self._find(server) is not None:
            return
        self._launch(server, binaries)
        if server.name == servers.COLLECTOR:
            self._await_ready(server, progress)
            progress.line(f"OTLP is taken from now on, at {self.url('otlp_http')}, and kept for the stores.")

    def _await_ready(self, server: Server, progress: Progress) -> None:
        progress.step(f"Waiting for {server.title}")
        patience = time.monotonic() + READY_S
        while not self._is_ready(server):
            if self._find(server) is None:
                raise Trouble(self._explain(server, "ended while starting"))
            if time.monotonic() > patience:
                raise Trouble(self._explain(server, f"is not ready after {READY_S:.0f} s"))
            time.sleep(_POLL_S)

    def _explain(self, server: Server, what: str) -> str:
        tail = process.tail(self.log(server), _TAIL)
        return (
            f"{server.title} {what}. The last lines of {self.log(server)}:\n"
            + "\n".join(f"  {line}" for line in tail or ["(nothing)"])
            + f"\nAfter that is mended run `{self._typed('up')}` again; what already runs is left running until"
            f" `{self._typed('down')}`."
        )

    def _stop(self, some: Sequence[Server], progress: Progress) -> list[Server]:
        ending = [(server, found) for server in some if (found := process.end(self._process(server), signal.SIGTERM))]
        began = time.monotonic()
        for server, found in ending:
            progress.step(f"Stopping {server.title}")
            if process.wait(found, max(0.1, began + server.stop_seconds - time.monotonic())):
                progress.line(f"Stopped {server.title}.")
            else:
                self.kill(server.name)
                progress.line(f"Stopped {server.title} by force, after {server.stop_seconds:.0f} s.")
        for server in some:
            self._file(server).unlink(missing_ok=True)
        return [server for server, _ in ending]

    def _status(self, server: Server) -> Status:
        record = self._process(server)
        running = process.find(record) is not None
        shown = record if running else None
        return Status(
            server=server,
            running=running,
            ready=running and self._is_ready(server),
            pid=shown.pid if shown else None,
            version=shown.version if shown else None,
            addresses={port.name: f"{servers.LOOPBACK}:{self.ports[port.name]}" for port in server.ports},
            log=self.log(server),
        )

    def _is_ready(self, server: Server) -> bool:
        port, path = server.ready
        try:
            with _direct.open(self.url(port) + path, timeout=2.0) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def _fill(self, template: tuple[str, ...]) -> list[str]:
        return servers.command(template, self.state, self._run / "rendered", places.configurations(), self.ports)

    def _variants(self, server: Server) -> list[str]:
        return variants.options(self.environment()) if server.name == servers.COLLECTOR else []

    def _find(self, server: Server) -> psutil.Process | None:
        return process.find(self._process(server))

    def _process(self, server: Server) -> process.Process | None:
        return process.load(self._file(server))

    def _file(self, server: Server) -> Path:
        return self._run / f"{server.name}.json"

    def _typed(self, command: str) -> str:
        """What a person types for this stack: without the folder it would be the default one."""
        where = "" if self.state == places.state() else f" --state {shlex.quote(str(self.state))}"
        return f"{suggest(f'stack {command}')}{where}"

    @property
    def _run(self) -> Path:
        return self.state / "run"

    def _settings(self) -> Settings:
        try:
            kept = Settings(**json.loads((self._run / "stack.json").read_text(encoding="utf-8")))
            # An earlier version had other ports beside these.
            return replace(kept, ports={name: kept.ports[name] for name in servers.PORTS if name in kept.ports})
        except (OSError, ValueError, TypeError, AttributeError):
            return Settings(ports.defaults(), render.WEBHOOK)

    @contextmanager
    def _alone(self, progress: Progress) -> Generator[None]:
        """Make the state folder and keep other commands out of it meanwhile."""
        try:
            # What people said is not in it, but when and how often they did is.
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as failure:
            raise WrongUse(f"--state {self.state} cannot be used as a folder: {failure.strerror}.") from failure
        waiting = f"Another `otel-tts stack` command is at work in {self.state}; waiting for it."
        with locks.held(self._run / ".lock", lambda: progress.line(waiting)):
            yield


def _is_url(text: str) -> bool:
    """Say whether Alertmanager takes `text`: it does not start with another, nor with one that its file cannot hold."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        return False


def _keep_token(path: Path) -> None:
    """Have a token by which a relay knows this stack's Alertmanager, for the owner's eyes only."""
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{secrets.token_hex(32)}\n")


def _server(name: str) -> Server:
    if name not in servers.BY_NAME:
        raise WrongUse(f"There is no server {name!r}; there are {', '.join(servers.BY_NAME)}.")
    return servers.BY_NAME[name]


def _built(server: Server) -> Path:
    found = build.binaries().get(server.name)
    if found is None:
        raise Trouble(f"{server.title} is not built: run `{suggest('stack build')}`.")
    return found
