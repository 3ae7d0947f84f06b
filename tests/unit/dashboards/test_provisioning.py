# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The files that Grafana reads at its start."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import dashboards
from dashboards import targets

FOLDER = Path(dashboards.__file__).resolve().parent


PAIRS = {"tempo-loki": ("tempo", "loki"), "jaeger-victorialogs": ("jaeger", "victorialogs")}
TYPES = {"victorialogs": "victoriametrics-logs-datasource"}
both = pytest.mark.parametrize("pair", PAIRS)


def read(path: str) -> Any:
    return yaml.safe_load((FOLDER / path).read_text(encoding="utf-8"))


def datasources(pair: str) -> dict[str, Any]:
    return {source["uid"]: source for source in read(f"provisioning/{pair}/datasources/tts.yaml")["datasources"]}


@both
def test_data_sources_are_those_that_the_boards_choose(pair: str) -> None:
    found = datasources(pair)
    assert {uid: source["type"] for uid, source in found.items()} == {
        uid: TYPES.get(uid, uid) for uid in ("prometheus", *PAIRS[pair])
    }
    assert [source["uid"] for source in found.values() if source.get("isDefault")] == ["prometheus"]
    for board in targets.read(pair).values():
        chosen = {one["current"]["value"] for one in board["templating"]["list"] if one["type"] == "datasource"}
        assert chosen <= found.keys()


@both
def test_only_addresses_come_from_the_environment(pair: str) -> None:
    """Grafana replaces $NAME with nothing where it is not set: what it should leave alone needs $$."""
    text = (FOLDER / f"provisioning/{pair}/datasources/tts.yaml").read_text(encoding="utf-8")
    settings = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    expanded = re.findall(r"\$(\w+)", settings.replace("$$", ""))
    assert sorted(expanded) == sorted(f"{uid.upper()}_URL" for uid in datasources(pair))


@both
def test_links_between_data_sources_lead_somewhere(pair: str) -> None:
    found = datasources(pair)
    traces, logs = PAIRS[pair]
    exemplars = found["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    fields = found[logs]["jsonData"]["derivedFields"]
    store = found[traces]["jsonData"]
    assert [link["datasourceUid"] for link in exemplars] == [traces]
    assert [(link["datasourceUid"], link["matcherType"], link["matcherRegex"]) for link in fields] == [
        (traces, "label", "trace_id")
    ]
    assert store["tracesToLogsV2"]["datasourceUid"] == logs
    assert store["tracesToMetrics"]["datasourceUid"] == "prometheus"


@both
def test_the_providers_read_the_boards_of_their_pair(pair: str) -> None:
    providers = read(f"provisioning/{pair}/dashboards/tts.yaml")["providers"]
    folders = [Path(one["options"]["path"]).relative_to("/etc/grafana/dashboards/tts") for one in providers]
    assert folders == [Path(pair) / "en", Path(pair) / "zh"]
    assert all((targets.GENERATED / folder).is_dir() for folder in folders)


def test_compose_mounts_what_is_for_its_stores() -> None:
    compose = yaml.safe_load((FOLDER.parent / "collector" / "compose.yaml").read_text(encoding="utf-8"))
    mounts = compose["services"]["grafana"]["volumes"]
    assert "../dashboards/generated:/etc/grafana/dashboards/tts:ro" in mounts
    assert "../dashboards/provisioning/tempo-loki:/etc/grafana/provisioning:ro" in mounts
