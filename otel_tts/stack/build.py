# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Building the servers from their Go modules into the cache, each once.

A build's folder is named after everything that goes into it, so a changed go.sum, manifest or Go makes a new one and an
unchanged one is found again. A folder appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from otel_tts.commands import suggest
from otel_tts.stack import golang, locks, places, servers
from otel_tts.stack.golang import Go
from otel_tts.stack.progress import Progress, Silent
from otel_tts.stack.servers import Server
from otel_tts.trouble import Trouble

_TAIL = 15  # lines of a failed build that are shown


def sources(server: Server) -> list[Path]:
    """The files that say what a server is built from."""
    collector = places.configurations()
    module = collector / "tools" / server.tools
    files = [module / "go.mod", module / "go.sum"]
    if server.name == servers.COLLECTOR:
        files += [collector / "builder.yaml", module / "lock" / "go.mod", module / "lock" / "go.sum"]
    return files


def find_go() -> Go:
    """A Go that can build every server. Raises Trouble."""
    modules = [path for server in servers.SERVERS for path in sources(server) if path.name == "go.mod"]
    return golang.find(golang.needed(modules))


def folder(server: Server, go: Go) -> Path:
    """Where this server, built by this Go, belongs."""
    return places.cache() / f"{server.name}-{_sources_key(server)}-{_key(go.version, go.platform)}"


def binaries() -> dict[str, Path]:
    """The folder of binaries of each server that is built, by the server's name.

    Without Go, a build of the same sources by a Go that is gone is as good.
    """
    try:
        go = find_go()
    except Trouble:
        go = None
    found = {server.name: _find_built(server, go) for server in servers.SERVERS}
    return {name: folder / "bin" for name, folder in found.items() if folder is not None}


def took(binaries: Path) -> int | None:
    """How many seconds the build of these binaries took; None when nobody noted it."""
    try:
        return json.loads((binaries.parent / "build.json").read_text(encoding="utf-8")).get("seconds")
    except (OSError, ValueError, AttributeError):
        return None


def missing() -> list[Server]:
    """The servers that are not built yet, in the order in which they are built."""
    built = binaries()
    return [servers.BY_NAME[name] for name in servers.BUILD_ORDER if name not in built]


def build(progress: Progress | None = None, done: Callable[[Server, Path], None] | None = None) -> dict[str, Path]:
    """Build what is missing; return each server's folder of binaries. `done` is told of each as soon as it is there.

    Can be broken off and run again: finished servers stay, and Go keeps the packages that it compiled.
    Raises Trouble when Go is missing or a build fails.
    """
    progress = progress or Silent()
    if wanted := missing():
        go = find_go()
        progress.line(_announce(wanted))
        lock = places.cache() / ".lock"
        with locks.held(lock, lambda: progress.line("Another build is running; waiting for it.")):
            _build_all(wanted, go, progress, done)
    return binaries()


def build_tool(tool: Server, progress: Progress | None = None) -> Path:
    """Build a tool that no stack needs, where it is not built; return its folder of binaries. Raises Trouble."""
    go, progress = find_go(), progress or Silent()
    with locks.held(places.cache() / ".lock", lambda: progress.line("Another build is running; waiting for it.")):
        _build_all([tool], go, progress, None)
    return folder(tool, go) / "bin"


def _announce(wanted: Sequence[Server]) -> str:
    names = ", ".join(server.title for server in wanted)
    minutes = math.ceil(sum(server.build_seconds for server in wanted) / 60)
    few = f"about {minutes} minute{'s' if minutes > 1 else ''}"
    return f"Not built yet: {names}. On two cores that takes {few}, where Go has compiled nothing of it before."


def _find_built(server: Server, go: Go | None) -> Path | None:
    same_sources = places.cache().glob(f"{server.name}-{_sources_key(server)}-*")
    candidates = [folder(server, go)] if go else sorted(same_sources)
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


def _build_all(
    wanted: Sequence[Server], go: Go, progress: Progress, done: Callable[[Server, Path], None] | None
) -> None:
    for leftover in places.cache().glob(".partial-*"):  # of a build that was killed
        shutil.rmtree(leftover)
    for number, server in enumerate(wanted, 1):
        if not folder(server, go).is_dir():  # else by the build that we waited for
            title = f"{server.title} {server.version} ({number} of {len(wanted)})"
            progress.step(f"Building {title}")
            progress.line(f"Built {title} in {_build_one(server, go, progress)} s")
        if done is not None:
            done(server, folder(server, go) / "bin")


def _build_one(server: Server, go: Go, progress: Progress) -> int:
    """Build a server; return how many seconds it took."""
    began = time.monotonic()
    partial = places.cache() / f".partial-{server.name}"
    target = partial / "bin"
    target.mkdir(parents=True)
    run = _Runner(server, progress)
    module = places.configurations() / "tools" / server.tools
    try:
        if server.name == servers.COLLECTOR:
            _build_collector(run, go, module, partial, target)
        else:
            run(module, [go.command, "build", "-v", *golang.FLAGS, "-o", str(target), "tool"])
        seconds = round(time.monotonic() - began)
        about: dict[str, str | int] = {"server": server.name, "version": server.version, "seconds": seconds}
        about |= {"go": go.version, "platform": go.platform}
        (partial / "build.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        partial.rename(folder(server, go))
        return seconds
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _build_collector(run: _Runner, go: Go, module: Path, partial: Path, target: Path) -> None:
    """Have the builder write the Collector's main program, then compile it against the committed go.mod and go.sum.

    Left to itself the builder runs `go mod tidy`, which would take whatever is newest on the day.
    """
    tool, source = partial / "tool", partial / "source"
    run(module, [go.command, "build", "-v", *golang.FLAGS, "-o", str(tool) + "/", "tool"])
    manifest = places.configurations() / "builder.yaml"
    generate = ["--skip-get-modules", "--skip-compilation", "--output-path", str(source)]
    run(module, [str(tool / "builder"), "--config", str(manifest), *generate])
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(module / "lock" / name, source / name)
    run(source, [go.command, "build", "-v", *golang.FLAGS, "-o", str(target / "otelcol-tts"), "."])
    shutil.rmtree(tool)
    shutil.rmtree(source)


class _Runner:
    """Runs one build's commands; keeps their output in a log and shows its last lines when one fails."""

    def __init__(self, server: Server, progress: Progress) -> None:
        self._server = server
        self._progress = progress
        self._log = places.cache() / "logs" / f"{server.name}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_bytes(b"")

    def __call__(self, where: Path, command: Sequence[str]) -> None:
        try:
            self._run(where, command)
        except OSError as failure:
            raise Trouble(f"Building {self._server.title} failed: {failure}") from failure

    def _run(self, where: Path, command: Sequence[str]) -> None:
        process = subprocess.Popen(
            command,
            cwd=where,
            env=golang.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        with self._log.open("a", encoding="utf-8") as log, process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    log.write(line)
                    self._progress.detail(line.strip())
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            raise Trouble(self._explain(process.returncode))

    def _explain(self, code: int) -> str:
        tail = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
        return (
            f"Building {self._server.title} {self._server.version} failed (exit status {code}). The last lines of"
            f" {self._log}:\n" + "\n".join(f"  {line}" for line in tail) + "\n"
            "It needs a way to the Go module proxy (`go env GOPROXY`), about 3.6 GB of memory and, with Go's caches,"
            f" 10 GB of disk. After that is mended run `{suggest('stack build')}` again: what was built is kept."
        )


def _sources_key(server: Server) -> str:
    return _key(*golang.FLAGS, *(path.read_text(encoding="utf-8") for path in sources(server)))


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
