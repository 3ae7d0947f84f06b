# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts archive` and a real S3 server (versitygw): killed, cut off, refused, without its bucket."""

from __future__ import annotations

import gzip
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from otel_tts.stack import build, ports, servers
from otel_tts.trouble import Trouble
from tests.support.archived import Folder, at, ids, line, until

ACCESS, SECRET, BUCKET = "AKIDverysecret42", "secretverysecret42", "logs"


@dataclass
class Gateway:
    """A server with one bucket; what is in it lies as files in `root`."""

    binary: Path
    root: Path
    port: int

    def start(self) -> None:
        environ = {**os.environ, "ROOT_ACCESS_KEY_ID": ACCESS, "ROOT_SECRET_ACCESS_KEY": SECRET}
        command = [str(self.binary), "--quiet", "--port", f"127.0.0.1:{self.port}", "posix", str(self.root)]
        quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=environ, **quiet)
        until(self._answers)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def objects(self) -> dict[str, list[str]]:
        return {path.name: ids(gzip.decompress(path.read_bytes())) for path in sorted(self.root.rglob("tts-*.gz"))}

    def all_ids(self) -> list[str]:
        return sorted(one for found in self.objects().values() for one in found)


@pytest.fixture(scope="module")
def binary() -> Path:
    try:
        return build.build_tool(servers.VERSITYGW) / servers.VERSITYGW.binary
    except Trouble as failure:
        if os.environ.get("CI") == "true":
            pytest.fail(str(failure), pytrace=False)
        pytest.skip(str(failure))


@pytest.fixture
def gateway(binary: Path, tmp_path: Path) -> Iterator[Gateway]:
    root = tmp_path / "s3"
    (root / BUCKET).mkdir(parents=True)
    one = Gateway(binary, root, ports.free()["prometheus"])
    one.start()
    yield one
    one.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def command(folder: Folder, port: int, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "otel_tts.cli.main", "archive", "--to", f"s3://{BUCKET}/tts", "--endpoint",
        f"http://127.0.0.1:{port}", "--dir", str(folder.logs), "--state", str(folder.home), *more,
    ]  # fmt: skip


def environ(secret: str = SECRET) -> dict[str, str]:
    own = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": secret, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    return {
        **os.environ,
        **own,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def archive(folder: Folder, port: int, *more: str, secret: str = SECRET) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, port, *more), env=environ(secret), capture_output=True, text=True, check=False
    )


def large(number: int, count: int = 20) -> list[bytes]:
    """Lines that gzip makes little of: more than two parts of an upload."""
    return [line((f"{number}-{n:02}-{secrets.token_hex(500_000)}", at(20 + number))) for n in range(count)]


def test_days_are_there_and_nothing_secret_is_seen(gateway: Gateway, folder: Folder) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24)), ("b", at(25))), age_days=8)
    ended = archive(folder, gateway.port, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["lines"], told["uploaded"], told["failed"], told["figures_sent"]) == (2, 2, "", False)
    assert gateway.objects() == {"tts-20261124.jsonl.gz": ["a"], "tts-20261125.jsonl.gz": ["b"]}
    assert (gateway.root / BUCKET / "tts" / "tts-20261124.jsonl.gz").exists()
    assert list(folder.logs.iterdir()) == []
    kept = "".join(path.read_text() for path in folder.home.glob("*") if path.is_file())
    assert "verysecret" not in ended.stdout + ended.stderr + kept
    back = folder.home / "back"
    fetched = archive(folder, gateway.port, "--fetch", str(back), "--month", "2026-11")
    assert fetched.stdout.split() == [f"{back}/tts-20261124.jsonl.gz", f"{back}/tts-20261125.jsonl.gz"]


def test_killed_again_and_again_while_it_uploads(gateway: Gateway, folder: Folder) -> None:
    lines = large(1)
    folder.write("logs-1.jsonl", *lines, age_days=8)
    with Slow(gateway.port, bytes_a_second=40_000_000) as proxy:
        for wait in (0.1, 0.3, 0.5):
            process = subprocess.Popen(command(folder, proxy.port), env=environ(), stderr=subprocess.DEVNULL)
            shown = " ".join(psutil.Process(process.pid).cmdline())
            assert "verysecret" not in shown
            proxy.passed = 0
            until(lambda: proxy.passed > 1000)
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert (folder.logs / "logs-1.jsonl").exists() or gateway.objects()
    ended = archive(folder, gateway.port)
    assert ended.returncode == 0, ended.stderr
    assert gateway.all_ids() == ids(b"".join(lines))
    assert list(folder.logs.iterdir()) == []


def test_a_connection_that_is_cut(gateway: Gateway, folder: Folder) -> None:
    lines = large(2, 12)
    folder.write("logs-1.jsonl", *lines, age_days=8)
    with Slow(gateway.port, cut_after=2_000_000) as proxy:
        ended = archive(folder, proxy.port)
    assert ended.returncode == 1 and "does not upload tts-20261122.jsonl.gz" in ended.stderr
    assert "verysecret" not in ended.stderr and "Traceback" not in ended.stderr
    assert gateway.objects() == {} and (folder.logs / "logs-1.jsonl").exists()
    with Slow(gateway.port, cut_after=2_000_000, cuts=2) as proxy:  # less often than is tried again
        ended = archive(folder, proxy.port)
    assert ended.returncode == 0, ended.stderr
    assert gateway.all_ids() == ids(b"".join(lines))


def test_bits_that_turn_on_the_way_back_are_no_success(gateway: Gateway, folder: Folder) -> None:
    folder.write("logs-1.jsonl", *large(3, 6), age_days=8)
    with Slow(gateway.port, turn=True) as proxy:
        ended = archive(folder, proxy.port)
    assert ended.returncode == 1
    assert (folder.logs / "logs-1.jsonl").exists()
    assert archive(folder, gateway.port).returncode == 0
    assert len(gateway.all_ids()) == 6


def test_a_server_that_is_down_comes_back(gateway: Gateway, folder: Folder) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))), age_days=8)
    gateway.stop()
    ended = archive(folder, gateway.port)
    assert ended.returncode == 1 and "it cannot be reached" in ended.stderr
    assert (folder.logs / "logs-1.jsonl").exists()
    gateway.start()
    assert archive(folder, gateway.port).returncode == 0
    assert gateway.all_ids() == ["a"]


def test_without_its_bucket(gateway: Gateway, folder: Folder) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))), age_days=8)
    (gateway.root / BUCKET).rmdir()
    ended = archive(folder, gateway.port)
    assert ended.returncode == 1 and "there is no such bucket" in ended.stderr
    assert (folder.logs / "logs-1.jsonl").exists()
    (gateway.root / BUCKET).mkdir()
    assert archive(folder, gateway.port).returncode == 0
    assert gateway.all_ids() == ["a"]


def test_a_wrong_secret(gateway: Gateway, folder: Folder) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))), age_days=8)
    ended = archive(folder, gateway.port, secret="anotherverysecret")
    assert ended.returncode == 1 and "does not let us in" in ended.stderr
    assert "verysecret" not in ended.stderr + ended.stdout
    assert (folder.logs / "logs-1.jsonl").exists()


def test_ninety_days_there(gateway: Gateway, folder: Folder) -> None:
    folder.write("logs-1.jsonl", line(("a", at(24))), line(("b", at(25))), age_days=8)
    assert archive(folder, gateway.port).returncode == 0
    then = time.time() - 91 * 86400
    os.utime(gateway.root / BUCKET / "tts" / "tts-20261124.jsonl.gz", (then, then))
    ended = archive(folder, gateway.port)
    assert ended.returncode == 0 and "1 expired there" in ended.stderr
    assert list(gateway.objects()) == ["tts-20261125.jsonl.gz"]


class Slow:
    """Stands before a server: slow, cuts connections after some bytes sent (the first `cuts`), or turns bits."""

    def __init__(
        self, port: int, bytes_a_second: float = 1e9, cut_after: int = 0, cuts: int = 10**6, turn: bool = False
    ) -> None:
        self._to, self._pace, self._cut_after, self._cuts, self._turn = port, bytes_a_second, cut_after, cuts, turn
        self.passed = 0

    def __enter__(self) -> Slow:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                for source, target, up in ((caller, server, True), (server, caller, False)):
                    threading.Thread(target=self._pass, args=(source, target, up), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        count = 0
        with suppress(OSError), closing(source), closing(target):
            while block := source.recv(65536):
                count += len(block)
                if up:
                    self.passed += len(block)
                    time.sleep(len(block) / self._pace)
                    if self._cut_after and count > self._cut_after and self._cuts > 0:
                        self._cuts -= 1
                        for one in (source, target):
                            one.shutdown(socket.SHUT_RDWR)
                        return
                elif self._turn and count > 200_000:
                    block = block[:-1] + bytes([block[-1] ^ 1])
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)
            time.sleep(0.2)
