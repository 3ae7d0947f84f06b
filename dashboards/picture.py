# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Boards as pages without Grafana: each panel's own queries, asked of running servers, drawn plainly.

    python -m dashboards.picture --prometheus URL --victorialogs URL --jaeger URL --request ID --trace ID DIR

writes DIR/UID.LANGUAGE.html for the boards of Jaeger and VictoriaLogs, and a picture of each where Chromium is. It
shows that what a panel asks has an answer and that the answer is of use, not how Grafana draws it.
"""

from __future__ import annotations

import argparse
import html
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboards.questions import LANGUAGES
from dashboards.targets import EVERYTHING, Json, fill, panels, read

COLOURS = ("#3b7dd8", "#e0752d", "#3f9c35", "#b84bb0", "#c9a400", "#d44a3a", "#1aa0a0", "#7d6bd0", "#888888")
LIGHTS = {"green": "#3f9c35", "yellow": "#d9a400", "red": "#d0402f"}
STYLE = """
body { font: 13px/1.35 "Noto Sans SC", "Noto Sans CJK SC", system-ui, sans-serif; margin: 12px; color: #24292e;
  background: #f4f5f5; width: 1560px; }
h1 { font-size: 20px; margin: 0 0 2px; } h1 + p { margin: 0 0 10px; color: #555; }
main { display: grid; grid-template-columns: repeat(24, 1fr); gap: 8px; }
h2 { grid-column: 1 / -1; font-size: 15px; margin: 8px 0 0; }
section { background: #fff; border: 1px solid #ddd; border-radius: 3px; padding: 6px 8px; overflow: hidden;
  display: flex; flex-direction: column; }
h3 { font-size: 13px; margin: 0 0 2px; font-weight: 600; } section > p { margin: 0; color: #777; font-size: 11px; }
.light { color: #fff; } .light p { color: #fff; opacity: .85; } .light b { font-size: 26px; margin: auto; }
.none { margin: auto; color: #999; } svg { flex: 1; min-height: 0; }
table { border-collapse: collapse; width: 100%; font-size: 12px; }
td, th { text-align: left; padding: 2px 6px; border-bottom: 1px solid #eee; white-space: nowrap; }
pre { margin: 4px 0 0; font-size: 11px; overflow: hidden; } .key { font-size: 11px; } .key i { font-style: normal; }
.bar { height: 9px; border-radius: 2px; background: #3b7dd8; }
"""
MOST_KEYS = 6
# Without these Chromium asks hosts of its maker at every start.
ALONE = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


@dataclass(frozen=True)
class Servers:
    """Addresses, without a path, and the time that is looked at: seconds since the epoch, a span of them."""

    prometheus: str
    victorialogs: str
    jaeger: str
    variables: Mapping[str, str]
    now: float
    seconds: float

    def ask(self, target: Json) -> Any:
        """What a panel's query finds: series, rows of log records, or spans."""
        source, start = target["datasource"]["type"], self.now - self.seconds
        expression = fill(target["expr"] if "expr" in target else target["query"], self.variables)
        if source == "prometheus" and target.get("instant"):
            query = {"query": expression, "time": self.now}
            return _get(self.prometheus, "/api/v1/query", query)["data"]["result"]
        if source == "prometheus":
            query = {"query": expression, "start": start, "end": self.now, "step": self.seconds / 180}
            return _get(self.prometheus, "/api/v1/query_range", query)["data"]["result"]
        if source == "jaeger":
            found = _get(self.jaeger, f"/api/traces/{expression}", {})["data"] if expression else []
            return [span for trace in found for span in trace["spans"]]
        query = {"query": expression, "start": start, "time": self.now}
        if target["queryType"] == "stats":
            return _get(self.victorialogs, "/select/logsql/stats_query", query)["data"]["result"]
        query = {"query": expression, "start": start, "end": self.now, "limit": target.get("maxLines", 100)}
        lines = _read(self.victorialogs, "/select/logsql/query", query).splitlines()
        return [json.loads(line) for line in lines]


def page(board: Json, servers: Servers, language: str, font: str = "") -> str:
    """A board as a page of its own, without scripts; `font` is the address of one that has the language's letters."""
    parts = [_row(one) if one["type"] == "row" else _panel(one, servers) for one in board["panels"]]
    title, meaning = html.escape(board["title"]), html.escape(board["description"])
    face = f'@font-face {{ font-family: "Noto Sans SC"; src: url("{font}"); }}' if font else ""
    return (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else language}"><meta charset="utf-8">'
        f"<title>{title}</title><style>{face}{STYLE}</style><h1>{title}</h1><p>{meaning}</p><main>{''.join(parts)}</main></html>"
    )


def height(board: Json) -> int:
    """Pixels that the page of a board needs."""
    rows = sum(panel["type"] == "row" for panel in board["panels"])
    return 90 + 2 * rows + 38 * max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels(board))


def shoot(chromium: str, source: Path, picture: Path, tall: int) -> None:
    """Take a picture of a page."""
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, *ALONE, f"--user-data-dir={profile}", f"--window-size=1600,{tall}"]
        command += [f"--screenshot={picture}", source.resolve().as_uri()]
        subprocess.run(command, capture_output=True, timeout=120, check=True)


# --- panels ----------------------------------------------------------------------------------------------------------


def _row(row: Json) -> str:
    return f"<h2>{html.escape(row['title'])}</h2>"


def _panel(panel: Json, servers: Servers) -> str:
    found = [servers.ask(target) for target in panel["targets"]]
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    at = panel["gridPos"]
    place = f"grid-column: span {at['w']}; height: {38 * at['h'] - 22}px"
    draw = {"stat": _light, "timeseries": _graph, "table": _table, "logs": _lines, "traces": _waterfall}[panel["type"]]
    body, more = draw(panel, found, defaults)
    title, meaning = html.escape(panel["title"]), html.escape(panel["description"].partition("Dots lead")[0])
    said = f"<p>{meaning}</p>" if panel["type"] != "stat" else ""
    return f'<section class="{panel["type"]}{more[0]}" style="{place}{more[1]}"><h3>{title}</h3>{said}{body}</section>'


Drawn = tuple[str, tuple[str, str]]
"""Markup, and more of the section's class and style."""
PLAIN = ("", "")


def _nothing(defaults: Json) -> Drawn:
    return f'<span class="none">{html.escape(defaults.get("noValue", "–"))}</span>', PLAIN


def _light(panel: Json, found: list[Any], defaults: Json) -> Drawn:
    values = [float(row["value"][1]) for row in found[0]]
    values = [value for value in values if not math.isnan(value)]
    colour = "#8a8f94"
    shown = html.escape(defaults["noValue"])
    if values:
        steps = defaults["thresholds"]["steps"]
        colour = LIGHTS[[one["color"] for one in steps if one["value"] is None or values[0] >= one["value"]][-1]]
        shown = _number(values[0], defaults["unit"])
    return f"<b>{shown}</b>", (" light", f"; background: {colour}")


def _graph(panel: Json, found: list[Any], defaults: Json) -> Drawn:
    lines: list[tuple[str, list[tuple[float, float]]]] = []
    for target, series in zip(panel["targets"], found, strict=True):
        for one in series:
            points = [(float(at), float(value)) for at, value in one["values"] if value not in {"NaN", "+Inf", "-Inf"}]
            if points:
                lines.append((_legend(target.get("legendFormat", ""), one["metric"]), points))
    if not lines:
        return _nothing(defaults)
    stacked = defaults["custom"].get("stacking", {}).get("mode") == "normal"
    if stacked:
        lines = _stack(lines)
    limits = [one["value"] for one in defaults["thresholds"]["steps"] if one["value"] is not None]
    top = max(0.0, *(value for _, points in lines for _, value in points)) * 1.05 or 1.0
    limits = [limit for limit in limits if limit <= 3 * top]
    top = max([top, *(1.1 * limit for limit in limits)])
    left, right = (pick(at for _, points in lines for at, _ in points) for pick in (min, max))
    across = max(right - left, 1.0)
    bottom = 0.0 if "min" in defaults else min(0.0, *(value for _, points in lines for _, value in points))

    def place(at: float, value: float) -> str:
        return f"{60 + 500 * (at - left) / across:.1f},{205 - 190 * max(value - bottom, 0) / (top - bottom):.1f}"

    drawn = [
        f'<line x1="60" x2="560" y1="{205 - 190 * part}" y2="{205 - 190 * part}" stroke="#eee"/>'
        f'<text x="55" y="{209 - 190 * part}" text-anchor="end">{said}</text>'
        for part in (0, 0.5, 1)
        for said in (_number(bottom + part * (top - bottom), defaults["unit"]),)
    ]
    for number, (_, points) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        for part in _unbroken(points):
            path = " ".join(place(*point) for point in part)
            if stacked:
                path = f"{place(part[0][0], 0)} {path} {place(part[-1][0], 0)}"
                drawn.append(f'<polygon points="{path}" fill="{colour}" stroke="{colour}"/>')
            else:
                drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    for limit in limits:
        y = 205 - 190 * (limit - bottom) / (top - bottom)
        drawn.append(f'<line x1="60" x2="560" y1="{y}" y2="{y}" stroke="#d0402f" stroke-dasharray="5 4"/>')
    for part in (0, 0.5, 1):
        clock = time.strftime("%H:%M", time.localtime(left + part * across))
        drawn.append(f'<text x="{60 + 500 * part}" y="219" text-anchor="middle">{clock}</text>')
    keys = (
        f'<i style="color: {COLOURS[n % len(COLOURS)]}">■</i> {html.escape(name or "–")} '
        for n, (name, _) in enumerate(lines[:MOST_KEYS])
    )
    more = f" … {len(lines)}" if len(lines) > MOST_KEYS else ""
    chart = f'<svg viewBox="0 0 590 222" font-size="10" fill="#666">{"".join(drawn)}</svg>'
    return f'{chart}<span class="key">{"&nbsp; ".join(keys)}{more}</span>', PLAIN


def _unbroken(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """A line's parts between gaps in its data."""
    step = min((after[0] - before[0] for before, after in itertools.pairwise(points)), default=1.0)
    parts = [[points[0]]]
    for before, after in itertools.pairwise(points):
        if after[0] - before[0] > 1.5 * step:
            parts.append([])
        parts[-1].append(after)
    return parts


def _stack(lines: Sequence[tuple[str, list[tuple[float, float]]]]) -> list[tuple[str, list[tuple[float, float]]]]:
    """Each line upon those after it."""
    below: dict[float, float] = {}
    stacked: list[tuple[str, list[tuple[float, float]]]] = []
    for name, points in reversed(lines):
        raised = [(at, value + below.get(at, 0.0)) for at, value in points]
        below |= dict(raised)
        stacked.insert(0, (name, raised))
    return stacked


def _table(panel: Json, found: list[Any], defaults: Json) -> Drawn:
    names: dict[str, str] = {}
    for one in panel.get("transformations", []):
        names |= one["options"].get("renameByName", {})
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for target, series in zip(panel["targets"], found, strict=True):
        for row in series:
            if "value" not in row:
                cells = {("Time" if key == "_time" else key): str(value) for key, value in row.items()}
                rows[tuple(cells.values())] = {**cells, "Time": cells.get("Time", "")[11:19]}
                continue
            labels = {key: value for key, value in row["metric"].items() if not key.startswith("__")}
            unit = _unit_of(panel, names.get(f"Value #{target['refId']}", ""))
            column = "Value" if "Value" in names else f"Value #{target['refId']}"
            value = {column: _number(float(row["value"][1]), unit)}
            rows.setdefault(tuple(labels.values()), dict(labels)).update(value)
    if not rows:
        return _nothing(defaults)
    order = {name: n for one in panel["transformations"] for name, n in one["options"].get("indexByName", {}).items()}
    columns = [one for one in sorted(names, key=lambda name: order[name]) if any(one in row for row in rows.values())]
    head = "".join(f"<th>{html.escape(names[one])}</th>" for one in columns)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(row.get(one, ''))}</td>" for one in columns) + "</tr>"
        for row in list(rows.values())[:12]
    )
    return f"<table><tr>{head}</tr>{lines}</table>", PLAIN


def _unit_of(panel: Json, column: str) -> str:
    for one in panel["fieldConfig"]["overrides"]:
        if one["matcher"]["options"] == column:
            return next((each["value"] for each in one["properties"] if each["id"] == "unit"), "short")
    return "short"


def _lines(panel: Json, found: list[Any], defaults: Json) -> Drawn:
    if not found[0]:
        return _nothing(defaults)
    text = "\n".join(f"{one['_time'][11:23]}  {one['_msg']}" for one in found[0][:14])
    return f"<pre>{html.escape(text)}</pre>", PLAIN


def _waterfall(panel: Json, found: list[Any], defaults: Json) -> Drawn:
    spans = sorted(found[0], key=lambda span: span["startTime"])
    if not spans:
        return _nothing(defaults)
    begin = spans[0]["startTime"]
    end = max(span["startTime"] + span["duration"] for span in spans)
    rows = ""
    for span in spans[:14]:
        left, width = (100 * part / max(end - begin, 1) for part in (span["startTime"] - begin, span["duration"]))
        bar = f'<div class="bar" style="margin-left: {left:.2f}%; width: {max(width, 0.3):.2f}%"></div>'
        name = html.escape(span["operationName"])
        rows += f'<tr><td>{name}</td><td>{span["duration"] / 1000:.2f} ms</td><td style="width: 70%">{bar}</td></tr>'
    return f"<table>{rows}</table>", PLAIN


def _legend(form: str, labels: Mapping[str, str]) -> str:
    for key, value in labels.items():
        form = form.replace(f"{{{{{key}}}}}", value)
    return re.sub(r"\{\{\w+\}\}", "", form)


def _number(value: float, unit: str) -> str:
    """A number as a reader wants it, by Grafana's name of its unit."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "bytes":
        power = min(4, int(math.log(max(abs(value), 1), 1024)))
        return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
    if unit == "s" and 0 < abs(value) < 1:
        return f"{1000 * value:.3g} ms"
    plain = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{plain} {ENDS[unit]}".strip()


ENDS = {
    "s": "s",
    "reqps": "/s",
    "cps": "/s",
    "cpm": "/min",
    "celsius": "°C",
    "watt": "W",
    "joule": "J",
    "none": "",
    "short": "",
}


def _read(address: str, path: str, query: Mapping[str, Any]) -> str:
    with urllib.request.urlopen(f"{address}{path}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
        return answer.read().decode()


def _get(address: str, path: str, query: Mapping[str, Any]) -> Json:
    return json.loads(_read(address, path, query))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.picture", description=(__doc__ or "").splitlines()[0])
    for server in ("prometheus", "victorialogs", "jaeger"):
        parser.add_argument(f"--{server}", required=True, metavar="URL")
    parser.add_argument("--request", default="", metavar="ID", help="for the board of one request")
    parser.add_argument("--trace", default="", metavar="ID", help="the same")
    parser.add_argument("--minutes", type=float, default=60.0, help="how far to look back")
    parser.add_argument("--font", type=Path, metavar="FILE", help="a font with Chinese letters, where none is")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    variables = {**EVERYTHING, "request": given.request, "trace": given.trace}
    servers = Servers(
        given.prometheus, given.victorialogs, given.jaeger, variables, time.time(), 60 * given.minutes
    )  # fmt: skip
    given.folder.mkdir(parents=True, exist_ok=True)
    font = given.font.resolve().as_uri() if given.font else ""
    chromium = shutil.which("chromium")
    for language in LANGUAGES:
        for name, board in read("jaeger-victorialogs", language).items():
            written = given.folder / f"{name}.{language}.html"
            written.write_text(page(board, servers, language, font), encoding="utf-8")
            if chromium is not None:
                shoot(chromium, written, written.with_suffix(".png"), height(board))
    return 0


if __name__ == "__main__":
    sys.exit(main())
