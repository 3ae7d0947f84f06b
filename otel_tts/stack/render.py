# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Prometheus's and Alertmanager's files, from one template each, wherever they run, and the page that Jaeger shows.

These two cannot read addresses from their environment; the Collector and the stores can, and read their one file as it
is. The containers' versions are kept in collector/compose/: `python -m otel_tts.stack.render` writes them anew.
"""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from pathlib import Path

from otel_tts.stack import places, servers

TEMPLATES = ("prometheus.yml", "alertmanager.yml")
PAGE = "index.html"

# Where a relay to people would listen: port 9099 of this machine, until another is named.
WEBHOOK = "http://127.0.0.1:9099/alertmanager"

# What the templates ask for, where each server is a container with its name as host name. The relay runs on the host.
COMPOSE: Mapping[str, str] = {
    "rules": "/etc/otel-tts/alerts/*.yml",
    "collector_metrics": "otelcol:8888",
    "prometheus": "prometheus:9090",
    "trace_store": "tempo:3200",
    "trace_store_name": "tempo",
    "log_store": "loki:3100",
    "log_store_name": "loki",
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
        "trace_store": at["jaeger_metrics"],
        "trace_store_name": "jaeger",
        "log_store": at["victorialogs"],
        "log_store_name": "victorialogs",
        "alertmanager": at["alertmanager"],
        "webhook": webhook,
    }


def text(name: str, values: Mapping[str, str]) -> str:
    """The file `name` with `values` filled in, as YAML strings in double quotes."""
    template = string.Template((places.configurations() / f"{name}.template").read_text(encoding="utf-8"))
    return template.substitute({key: _quotable(value) for key, value in values.items()})


def write(folder: Path, values: Mapping[str, str]) -> None:
    """Write both files into `folder`."""
    for name in TEMPLATES:
        _write(folder / name, text(name, values))


def write_page(folder: Path, values: Mapping[str, str]) -> None:
    """Write Jaeger's page into `folder`. Jaeger wants a folder `static` beside it."""
    (folder / "static").mkdir(parents=True, exist_ok=True)
    _write(folder / PAGE, text(PAGE, values))


def _write(path: Path, content: str) -> None:
    """The file appears whole: a server that reloads never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_text(content, encoding="utf-8")
    os.replace(unfinished, path)


def _quotable(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    write(places.configurations() / "compose", COMPOSE)
