# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Building: keys, what is kept, what a person is told. A script stands in for Go; tests/stack has the real one."""

from __future__ import annotations

import math
import re
import shutil
import threading
from pathlib import Path

import pytest
import yaml

from otel_tts.stack import build, golang, locks, places, servers
from otel_tts.stack.golang import Go
from otel_tts.stack.progress import Silent
from otel_tts.trouble import Trouble

GO = Go("go", "go1.26.8", "linux/amd64")
BY_NAME = servers.BY_NAME

FAKE_GO = """#!/bin/sh
echo "$@" >>"$FAKE_GO_LOG"
if [ "$1" = env ]; then echo "${FAKE_GO_VERSION:-go1.26.8}"; echo linux; echo amd64; exit; fi
if [ -n "$FAKE_GO_FAIL" ] && pwd | grep -q "/$FAKE_GO_FAIL\\$"; then echo "no route to proxy"; exit 1; fi
while [ "$1" != -o ]; do shift; done
case "$2" in
*otelcol-tts) echo binary >"$2" ;;
*/tool/)
    mkdir -p "$2"
    printf '#!/bin/sh\\nwhile [ "$1" != --output-path ]; do shift; done\\nmkdir -p "$2"\\n' >"$2/builder"
    chmod +x "$2/builder" ;;
*) echo binary >"$2/server" ;;
esac
"""


class Recorder(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of collector/ that a test may change, and an empty cache."""
    copy = tmp_path / "collector"
    shutil.copytree(places.configurations(), copy)
    monkeypatch.setattr(places, "configurations", lambda: copy)
    monkeypatch.setenv("OTEL_TTS_CACHE_DIR", str(tmp_path / "cache"))
    return copy


@pytest.fixture
def calls(collector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Go, first on PATH; the file with its calls."""
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "go").write_text(FAKE_GO, encoding="utf-8")
    (bin / "go").chmod(0o755)
    log = tmp_path / "calls"
    log.touch()
    monkeypatch.setenv("PATH", f"{bin}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_GO_LOG", str(log))
    return log


def builds(calls: Path) -> list[str]:
    return [line for line in calls.read_text(encoding="utf-8").splitlines() if line.startswith("build")]


def test_every_server_has_its_committed_module() -> None:
    for server in servers.SERVERS:
        for source in build.sources(server):
            assert source.stat().st_size > 0, source


def test_the_version_in_the_table_is_that_of_the_module() -> None:
    pinned = {
        "jaeger": "github.com/jaegertracing/jaeger v1.76.0",
        "victorialogs": "github.com/VictoriaMetrics/VictoriaLogs v1.52.1",
        "alertmanager": "github.com/prometheus/alertmanager v0.31.1",
        "prometheus": "github.com/prometheus/prometheus v0.314.0",
        "otelcol": "go.opentelemetry.io/collector/cmd/builder v0.158.0",
    }
    assert set(pinned) == set(BY_NAME)
    for name, line in pinned.items():
        assert line in build.sources(BY_NAME[name])[0].read_text(encoding="utf-8")


def test_every_component_of_the_collector_is_locked() -> None:
    """Otherwise `go build -mod=readonly` would refuse, after minutes."""
    manifest = yaml.safe_load((places.configurations() / "builder.yaml").read_text(encoding="utf-8"))
    kinds = ("extensions", "receivers", "processors", "connectors", "exporters")
    wanted = {component["gomod"] for kind in kinds for component in manifest[kind]}
    lock = (places.configurations() / "tools" / "otelcol" / "lock" / "go.mod").read_text(encoding="utf-8")
    locked = {line.strip() for line in lock.splitlines()}
    assert wanted - locked == set(), "run: collector/lock.sh"


@pytest.mark.parametrize("name", BY_NAME)
def test_the_key_follows_each_source(collector: Path, name: str) -> None:
    server = BY_NAME[name]
    before = build.folder(server, GO)
    assert build.folder(server, GO) == before
    for source in build.sources(server):
        text = source.read_text(encoding="utf-8")
        source.write_text(text + "\n", encoding="utf-8")
        assert build.folder(server, GO) != before, f"{source} does not count"
        source.write_text(text, encoding="utf-8")
    assert build.folder(server, GO) == before


def test_the_key_follows_the_version_the_platform_and_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    server = BY_NAME["alertmanager"]
    folders = {
        build.folder(server, GO),
        build.folder(server, Go("go", "go1.26.9", "linux/amd64")),
        build.folder(server, Go("go", "go1.26.8", "linux/arm64")),
    }
    monkeypatch.setattr(golang, "FLAGS", ("-race",))
    folders.add(build.folder(server, GO))
    assert len(folders) == 4


def test_where_the_cache_is(tmp_path: Path) -> None:
    assert places.cache({"OTEL_TTS_CACHE_DIR": "/a"}) == Path("/a/servers")
    assert places.cache({"XDG_CACHE_HOME": "/b"}) == Path("/b/otel-tts/servers")
    assert places.cache({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache/otel-tts/servers"
    assert places.state({"XDG_STATE_HOME": "/c"}) == Path("/c/otel-tts")
    assert places.state({}) == Path.home() / ".local/state/otel-tts"


def test_the_collector_is_built_first() -> None:
    """With it alone a service can send already; see `Stack.up`."""
    assert servers.BUILD_ORDER[0] == servers.COLLECTOR
    assert sorted(servers.BUILD_ORDER) == sorted(BY_NAME)


def test_the_estimate_is_of_what_is_missing(calls: Path) -> None:
    first, second = Recorder(), Recorder()
    build.build(first)
    whole = re.search(r"about (\d+) minutes", first.lines[0])
    assert whole is not None
    assert int(whole[1]) == math.ceil(sum(server.build_seconds for server in servers.SERVERS) / 60)
    with (places.configurations() / "tools" / "victorialogs" / "go.sum").open("a") as sums:
        sums.write("example.com/added v1.0.0 h1:0\n")
    build.build(second)
    assert "Not built yet: VictoriaLogs. On two cores that takes about 1 minute," in second.lines[0]


def test_each_is_told_of_as_soon_as_it_is_built(calls: Path) -> None:
    told: list[str] = []

    def done(server: servers.Server, folder: Path) -> None:
        assert build.binaries()[server.name] == folder
        assert set(build.binaries()) == {*told, server.name}
        told.append(server.name)

    build.build(done=done)
    assert told == list(servers.BUILD_ORDER)
    told.clear()
    build.build(done=done)
    assert told == []


def test_no_module_is_under_the_agpl() -> None:
    """Of those that are known to be; tests/stack reads the licence of every module that is linked."""
    for module in (places.configurations() / "tools").rglob("go.mod"):
        assert not re.search(
            r"github\.com/grafana/(tempo|loki|mimir|grafana)(/\S*)? v", module.read_text(encoding="utf-8")
        )


def test_each_server_is_built_once(calls: Path) -> None:
    progress = Recorder()
    folders = build.build(progress)
    assert set(folders) == set(BY_NAME)
    assert (folders["otelcol"] / "otelcol-tts").is_file()
    assert len(progress.lines) == 1 + len(servers.SERVERS)
    assert len(builds(calls)) == len(servers.SERVERS) + 1  # the Collector's builder

    assert build.missing() == []
    assert build.build() == folders
    assert len(builds(calls)) == len(servers.SERVERS) + 1


def test_a_changed_module_is_built_again_and_the_others_are_not(calls: Path, collector: Path) -> None:
    build.build()
    with (collector / "tools" / "prometheus" / "go.sum").open("a") as sums:
        sums.write("example.com/added v1.0.0 h1:0\n")
    assert [server.name for server in build.missing()] == ["prometheus"]
    before = len(builds(calls))
    build.build()
    assert len(builds(calls)) == before + 1


def test_a_failure_shows_the_end_of_the_log_and_leaves_what_was_built(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_GO_FAIL", "prometheus")
    with pytest.raises(Trouble) as failure:
        build.build()
    assert "Prometheus" in str(failure.value)
    assert "no route to proxy" in str(failure.value)
    assert "otel-tts stack build" in str(failure.value)
    assert "jaeger" in build.binaries()
    assert "prometheus" not in build.binaries()
    assert not list(places.cache().glob(".partial-*"))

    monkeypatch.delenv("FAKE_GO_FAIL")
    assert set(build.build()) == set(BY_NAME)


def test_what_a_killed_build_left_is_no_build_and_is_cleared_away(calls: Path) -> None:
    leftover = places.cache() / ".partial-alertmanager" / "bin"
    leftover.mkdir(parents=True)
    (leftover / "alertmanager").touch()
    assert "alertmanager" not in build.binaries()
    build.build()
    assert not leftover.exists()


def test_without_go_it_says_what_why_and_how_to_get_it(collector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Trouble) as failure:
        build.build()
    message = str(failure.value)
    assert "Go is not installed" in message
    assert "1.26" in message
    assert "https://go.dev/dl/" in message


def test_an_old_go_is_refused_with_both_versions(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_GO_VERSION", "go1.22.3")
    with pytest.raises(Trouble, match=r"(?s)go1\.22\.3.*Go 1\.26"):
        build.build()
    assert builds(calls) == []


@pytest.mark.parametrize("version", ["go1.26.5", "go1.30.0", "go1.27rc1", "go2.0", "devel go1.28-abc"])
def test_a_new_enough_go_is_taken(calls: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("FAKE_GO_VERSION", version.split()[0])
    assert golang.find("1.26.5").platform == "linux/amd64"


def test_the_newest_go_that_a_module_asks_for_is_needed(tmp_path: Path) -> None:
    for number, version in enumerate(("1.9", "1.26", "1.26.5", "1.25.11")):
        (tmp_path / f"{number}.mod").write_text(f"module m\n\ngo {version}\n", encoding="utf-8")
    assert golang.needed(tmp_path.glob("*.mod")) == "1.26.5"


def test_built_servers_are_found_when_go_has_gone(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = build.build()
    monkeypatch.setenv("PATH", "/nowhere")
    assert build.binaries() == folders
    assert build.build() == folders


def test_a_users_go_settings_do_not_reach_the_build() -> None:
    given = golang.environment(
        {"GOOS": "plan9", "GOFLAGS": "-mod=vendor", "GOPROXY": "https://proxy.example", "HOME": "/h"}
    )
    assert "GOOS" not in given
    assert given["GOFLAGS"] == "-mod=readonly"
    assert given["GOPROXY"] == "https://proxy.example"
    assert given["HOME"] == "/h"


def test_two_builds_take_turns(tmp_path: Path) -> None:
    lock, said, entered = tmp_path / "lock", threading.Event(), threading.Event()

    def second() -> None:
        with locks.held(lock, said.set):
            entered.set()

    thread = threading.Thread(target=second)
    with locks.held(lock, lambda: None):
        thread.start()
        assert said.wait(10), "the second is not told that it waits"
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()


def test_a_tool_is_built_once_and_by_no_stack(calls: Path) -> None:
    first = build.build_tool(servers.SLOTH)
    assert build.build_tool(servers.SLOTH) == first
    assert (first / "server").is_file()
    assert len(builds(calls)) == 1
    assert servers.SLOTH not in build.missing()
