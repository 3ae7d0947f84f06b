# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Prometheus's and Alertmanager's files, from one template each, wherever they run.

These two cannot read addresses from their environment; the Collector, Tempo and Loki can, and read their one file as it
is. The containers' versions are kept in collector/compose/: `python -m otel_tts.stack.render` writes them anew.
"""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from pathlib import Path

from otel_tts.stack import places, servers

TEMPLATES = ("prometheus.yml", "alertmanager.yml")

# Where `otel-tts relay` listens by default.
WEBHOOK = "http://127.0.0.1:9099/alertmanager"

# What the templates ask for, where each server is a container with its name as host name. The relay runs on the host.
COMPOSE: Mapping[str, str] = {
    "rules": "/etc/otel-tts/alerts/*.yml",
    "collector_metrics": "otelcol:8888",
    "prometheus": "prometheus:9090",
    "alertmanager": "alertmanager:9093",
    "webhook": "http://host.docker.internal:9099/alertmanager",
}


def native(ports: Mapping[str, int], webhook: str = WEBHOOK) -> dict[str, str]:
    """What the templates ask for, where all servers run on this machine."""
    at = {name: f"{servers.LOOPBACK}:{number}" for name, number in ports.items()}
    return {
        "rules": places.rules(),
        "collector_metrics": at["collector_metrics"],
        "prometheus": at["prometheus"],
        "alertmanager": at["alertmanager"],
        "webhook": webhook,
    }


def text(name: str, values: Mapping[str, str]) -> str:
    """The file `name` with `values` filled in, as YAML strings in double quotes."""
    template = string.Template((places.configurations() / f"{name}.template").read_text(encoding="utf-8"))
    return template.substitute({key: _quotable(value) for key, value in values.items()})


def write(folder: Path, values: Mapping[str, str]) -> None:
    """Write both files into `folder`. Each appears whole: a server that reloads never sees half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in TEMPLATES:
        unfinished = folder / f".{name}.new"
        unfinished.write_text(text(name, values), encoding="utf-8")
        os.replace(unfinished, folder / name)


def _quotable(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    write(places.configurations() / "compose", COMPOSE)
