# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The Collector accepts the configurations of the manifests' pods, with the environment that those have."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_collector_variants import environment

from otel_tts.stack import build, places

__all__ = ["environment"]


def container(name: str) -> dict[str, Any]:
    file = places.configurations() / "kubernetes" / f"{name}.yaml"
    documents = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    (pod,) = (one["spec"]["template"]["spec"] for one in documents if one["kind"] in ("DaemonSet", "StatefulSet"))
    return pod["containers"][0]


@pytest.mark.parametrize("name", ["agent", "gateway"])
def test_it_is_accepted(stack: object, environment: dict[str, str], tmp_path: Path, name: str) -> None:
    pod, files = container(name), places.configurations()
    given = {one["name"]: one["value"] for one in pod["env"]}
    secrets = {
        name: environment[name] for name in ("STACK_TOKEN_FILE", "STACK_CERT_FILE", "STACK_KEY_FILE", "STACK_CA_FILE")
    }
    known = {file.name: file for file in (files / "otelcol.yaml", *(files / "variants").glob("*.yaml"))}
    options = [f"--config={known[Path(argument.partition('=')[2]).name]}" for argument in pod["args"]]
    command = [str(build.binaries()["otelcol"] / "otelcol-tts"), "validate", *options]
    done = subprocess.run(command, env=given | secrets, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
