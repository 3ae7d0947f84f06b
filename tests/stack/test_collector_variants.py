# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Each way to lay variants over otelcol.yaml that docs/collector.md names is accepted by the Collector."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from otel_tts.stack import build, places, variants

WAYS = [
    "",
    "sampling",
    "files",
    "sampling,files",
    "agent",
    "agent,files",
    "gateway",
    "sampling,gateway",
    "to-kafka",
    "from-kafka",
    "sampling,from-kafka",
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("t0ken\n", encoding="utf-8")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem"), "-subj", "/CN=gateway"]
    subprocess.run(make, check=True, capture_output=True)
    return {
        "PATH": os.environ["PATH"],
        "STACK_STATE": str(tmp_path),
        "STACK_TOKEN_FILE": str(tmp_path / "token"),
        "STACK_CERT_FILE": str(tmp_path / "cert.pem"),
        "STACK_KEY_FILE": str(tmp_path / "key.pem"),
        "STACK_CA_FILE": str(tmp_path / "cert.pem"),
        "STACK_GATEWAY": "gateway:4317",
        "STACK_GATEWAYS": "[gateway-0:4317, gateway-1:4317]",
        "STACK_KAFKA": "[kafka:9092]",
    }


def validate(names: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(build.binaries()["otelcol"] / "otelcol-tts"), "validate"]
    command += [f"--config={places.configurations() / 'otelcol.yaml'}", *variants.options({"STACK_COLLECTOR": names})]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("names", WAYS, ids=lambda names: names or "all-in-one")
def test_it_is_accepted(stack: object, environment: dict[str, str], names: str) -> None:
    found = validate(names, environment)
    assert (found.returncode, found.stderr) == (0, "")


def test_every_variant_is_among_them() -> None:
    assert {name for names in WAYS for name in names.split(",")} - {""} == set(variants.known())


def test_a_gateway_without_a_token_is_not_accepted(stack: object, environment: dict[str, str]) -> None:
    """So that the checks above mean something."""
    del environment["STACK_TOKEN_FILE"]
    assert "token" in validate("gateway", environment).stderr
