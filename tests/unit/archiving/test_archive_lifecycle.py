# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The files that start the archive and bound it in the bucket are right: by moto's S3 server, by the command."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from otel_tts.cli.main import app
from otel_tts.stack import places
from tests.support.archived import Folder, at, line

FILES = places.configurations() / "archive"


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A moto server; its address. Not in this process: its libraries warn of themselves."""
    code = (
        "import logging, time; from moto.server import ThreadedMotoServer; logging.disable();"
        "s = ThreadedMotoServer('127.0.0.1', 0, verbose=False); s.start();"
        "print(s.get_host_and_port()[1], flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    assert process.stdout is not None
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    process.kill()
    process.communicate()


CLIENT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import boto3
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1")
s3.create_bucket(Bucket="logs")
s3.put_bucket_lifecycle_configuration(Bucket="logs", LifecycleConfiguration=json.load(open(sys.argv[2])))
print(json.dumps(s3.get_bucket_lifecycle_configuration(Bucket="logs")["Rules"]))
"""


def test_the_buckets_rule(moto: str, tmp_path: Path) -> None:
    path = FILES / "lifecycle.json"
    ended = subprocess.run([sys.executable, "-c", CLIENT, moto, str(path)], capture_output=True, text=True, check=True)
    (rule,) = json.loads(ended.stdout)
    (wanted,) = json.loads(path.read_text())["Rules"]
    assert {key: rule[key] for key in wanted} == wanted
    assert rule["Expiration"]["Days"] == 90 and rule["Status"] == "Enabled"
    folder = Folder(tmp_path)
    folder.write("logs-1.jsonl", line(("a", at(24))), age_days=8)
    from otel_tts.archiving.store import Store

    store = Store(f"s3://logs/{rule['Filter']['Prefix']}", moto)
    assert folder.run(store, expire_days=0).uploaded == 1
    assert store.names() == ["tts-20261124.jsonl.gz"]
    assert list(folder.logs.iterdir()) == []


def options() -> set[str]:
    command = get_command(app).commands["archive"]  # type: ignore[attr-defined]
    return {name for parameter in command.params for name in parameter.opts}


def read(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((FILES / name).read_text(encoding="utf-8"))
    return parser


def test_the_units() -> None:
    service, timer = read("otel-tts-archive.service"), read("otel-tts-archive.timer")
    assert set(re.findall(r"--[a-z-]+", service["Service"]["ExecStart"])) <= options()
    assert "--to ${ARCHIVE_TO}" in service["Service"]["ExecStart"]
    assert timer["Timer"]["Persistent"] == "true" and timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_the_units_by_systemd(tmp_path: Path) -> None:
    for name in ("otel-tts-archive.service", "otel-tts-archive.timer"):
        text = (FILES / name).read_text(encoding="utf-8").replace("%h/.local/bin/otel-tts", "/bin/true")
        (tmp_path / name).write_text(text)
    names = [str(tmp_path / "otel-tts-archive.timer"), str(tmp_path / "otel-tts-archive.service")]
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert subprocess.run(
        ["systemd-analyze", "calendar", read("otel-tts-archive.timer")["Timer"]["OnCalendar"]], check=False
    ).returncode == 0  # fmt: skip


def test_the_cron_job() -> None:
    job, policy = yaml.safe_load_all((FILES / "cronjob.yaml").read_text(encoding="utf-8"))
    assert job["kind"] == "CronJob" and job["spec"]["concurrencyPolicy"] == "Forbid"
    assert job["spec"]["schedule"] == "30 1 * * *"
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    name, *given = container["args"]
    assert name == "archive" and {one.partition("=")[0] for one in given} <= options()
    assert all("KEY" not in one for one in given)
    pod = job["spec"]["jobTemplate"]["spec"]["template"]
    assert policy["spec"]["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    gateway = places.configurations() / "kubernetes" / "gateway.yaml"
    (gateways,) = (
        one for one in yaml.safe_load_all(gateway.read_text(encoding="utf-8")) if one["kind"] == "StatefulSet"
    )
    (claim,) = gateways["spec"]["volumeClaimTemplates"]
    first = f"{gateways['metadata']['name']}-0"
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == f"{claim['metadata']['name']}-{first}"
    assert f"pod-name': '{first}'" in str(pod["spec"]["affinity"])
    assert pod["spec"]["securityContext"] == gateways["spec"]["template"]["spec"]["securityContext"]
