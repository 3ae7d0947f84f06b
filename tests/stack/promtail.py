# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The stages of Promtail that collector/promtail.yaml uses, as its documentation says that they work."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from otel_tts.stack import places

_CRI = re.compile(r"^(?P<time>\S+) (?P<stream>stdout|stderr) (?P<flags>\S+) ?(?P<content>.*)$")
_SELECTOR = re.compile(r"^\{service_name=~\"[.]\+\"\} (?P<how>!~|[|]~) `(?P<pattern>.*)`$")


@dataclass
class Entry:
    """A line on its way: what is extracted from it, and what of that Loki gets."""

    line: str
    labels: dict[str, str]
    extracted: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    time: str | None = None


def stages(job: str) -> list[Any]:
    """The stages of a job of collector/promtail.yaml."""
    configuration = yaml.safe_load((places.configurations() / "promtail.yaml").read_text(encoding="utf-8"))
    return next(one["pipeline_stages"] for one in configuration["scrape_configs"] if one["job_name"] == job)


def run(some: Sequence[Mapping[str, Any]], entry: Entry) -> Entry | None:
    """Run stages on an entry; None where one drops it."""
    for stage in some:
        ((name, options),) = stage.items()
        if _STAGES[name](options or {}, entry) is None:
            return None
    return entry


def _match(options: Mapping[str, Any], entry: Entry) -> Entry | None:
    selector = _SELECTOR.match(options["selector"])
    assert selector is not None, options["selector"]
    found = re.search(selector["pattern"], entry.line) is not None
    if found != (selector["how"] == "|~"):
        return entry
    return None if options.get("action") == "drop" else run(options["stages"], entry)


def _regex(options: Mapping[str, Any], entry: Entry) -> Entry:
    if found := re.search(options["expression"], entry.line):
        entry.extracted |= found.groupdict()
    return entry


def _logfmt(options: Mapping[str, Any], entry: Entry) -> Entry:
    pairs = dict(word.split("=", 1) for word in entry.line.split() if "=" in word)
    return _pick(options["mapping"], pairs, entry)


def _json(options: Mapping[str, Any], entry: Entry) -> Entry:
    fields = {key: _text(one) for key, one in json.loads(entry.line).items()}
    # JMESPath: a name, in quotes where it has a dot.
    named = {name: (path or name).strip('"') for name, path in options["expressions"].items()}
    assert all("." not in (path or "") or path.startswith('"') for path in options["expressions"].values())
    return _pick(named, fields, entry)


def _text(one: Any) -> str:
    return one if isinstance(one, str) else json.dumps(one)


def _pick(names: Mapping[str, str | None], fields: Mapping[str, str], entry: Entry) -> Entry:
    for name, key in names.items():
        if (key or name) in fields:
            entry.extracted[name] = fields[key or name]
    return entry


def _timestamp(options: Mapping[str, Any], entry: Entry) -> Entry:
    assert options["format"] == "2006-01-02T15:04:05.000Z"
    entry.time = entry.extracted.get(options["source"])
    return entry


def _structured_metadata(options: Mapping[str, str | None], entry: Entry) -> Entry:
    found = {name: entry.extracted[key or name] for name, key in options.items() if (key or name) in entry.extracted}
    entry.metadata |= found
    return entry


def _docker(options: Mapping[str, Any], entry: Entry) -> Entry:
    entry.line = json.loads(entry.line)["log"]
    return entry


def _cri(options: Mapping[str, Any], entry: Entry) -> Entry:
    found = _CRI.match(entry.line)
    assert found is not None, entry.line
    entry.line = found["content"]
    return entry


_STAGES = {
    "match": _match,
    "regex": _regex,
    "logfmt": _logfmt,
    "json": _json,
    "timestamp": _timestamp,
    "structured_metadata": _structured_metadata,
    "docker": _docker,
    "cri": _cri,
}
