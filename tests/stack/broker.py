# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A real Kafka broker in KRaft mode on this machine, made of what Maven's repository has."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from otel_tts.stack import places, ports

POM = Path(__file__).parent / "kafka" / "pom.xml"
SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.partitions=4
message.max.bytes=16777216
"""


class Broker:
    """One broker; `stop` and `start` keep what it has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._classes = f"{_libraries()}/*"
        self.port, controller = list(ports.free().values())[:2]
        self._settings = folder / "server.properties"
        settings = SETTINGS.format(port=self.port, controller=controller, folder=folder)
        self._settings.write_text(settings, encoding="utf-8")
        made = ["format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", str(self._settings)]
        subprocess.run(self._java("kafka.tools.StorageTool", *made), check=True, capture_output=True, timeout=60)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "kafka.log").open("ab") as log:
            command = self._java("kafka.Kafka", str(self._settings))
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=self._folder)
        patience = time.monotonic() + 60
        while not self._listens():
            assert self._process.poll() is None, (self._folder / "kafka.log").read_text(errors="replace")[-3000:]
            assert time.monotonic() < patience, "the broker does not listen"
            time.sleep(0.2)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _java(self, *arguments: str) -> list[str]:
        return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", self._classes, *arguments]


def _libraries() -> Path:
    """The broker's libraries, fetched once. Skips where there is no Java or no way to Maven's repository."""
    if missing := [command for command in ("java", "mvn") if shutil.which(command) is None]:
        pytest.skip(f"the real Kafka broker needs {' and '.join(missing)}")
    folder = places.cache().parent / "kafka" / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if not folder.is_dir():
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        copy = ["mvn", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
        done = subprocess.run(copy, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            pytest.skip(f"Kafka cannot be fetched: {done.stdout[-300:]}")
        partial.rename(folder)
    return folder
