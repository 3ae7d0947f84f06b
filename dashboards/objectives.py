# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Objectives: what share of the requests shall be well, over thirty days. Change them here.

`python -m dashboards.objectives` has Sloth make alerts/objectives.yml of them: for each what was used of its budget,
and two alerts, one that pages while the budget burns fast, one that is a ticket while it burns slowly. It builds Sloth
where it is missing, with Go; `python -m dashboards.build --check` says without Go whether the file is of these.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dashboards import queries, thresholds
from dashboards.boards import common
from dashboards.questions import Words
from otel_tts import names
from otel_tts.names import Metric
from otel_tts.readers.promql import translate
from otel_tts.stack import build, servers
from otel_tts.trouble import Trouble

FILE = Path(__file__).resolve().parent / "alerts" / "objectives.yml"


@dataclass(frozen=True)
class Objective:
    """`percent` of what `total` counts shall not be in `bad`; both are rates over `{{.window}}`, by the service."""

    name: str
    percent: float
    alert: str
    said: Words
    bad: str
    total: str
    look: str
    remedies: tuple[Words, ...]


def _counter(*matchers: str) -> str:
    return f"sum by (service_name) (rate({translate(names.REQUESTS)}{{{','.join(matchers)}}}[{{{{.window}}}}]))"


def _above(metric: Metric, edge: float) -> tuple[str, str]:
    """What is above an edge of a histogram, and all of it."""
    if edge not in metric.edges:
        raise ValueError(f"{metric.name} has no edge at {edge:g}")
    name = translate(metric)
    total = f"sum by (service_name) (rate({name}_count[{{{{.window}}}}]))"
    return f'{total} - sum by (service_name) (rate({name}_bucket{{le="{edge:g}"}}[{{{{.window}}}}]))', total


_late, _heard = _above(names.FIRST_AUDIO, thresholds.LATE)
_behind, _spoken = _above(names.RTF, thresholds.REAL_TIME)

OBJECTIVES = (
    Objective(
        "speech",
        99.0,
        "TTSSpeechBudget",
        ("get usable speech", "得到可用语音"),
        _counter(queries.FAILED),
        _counter(queries.WANTED),
        common.SERVICE,
        (
            (
                "As TTSErrorRatioHigh: Top failures, Errors by type.",
                "同 TTSErrorRatioHigh：主要失败原因、按类型的错误。",
            ),
            (
                "Burning slowly: the failures that are always there. They are worth mending one by one.",
                "缓慢消耗：一直存在的失败，值得逐个修复。",
            ),
        ),
    ),
    Objective(
        "first-sound",
        95.0,
        "TTSFirstSoundBudget",
        (
            f"are heard within {thresholds.LATE:g} s",
            f"在 {thresholds.LATE:g} 秒内听到首声",
        ),
        _late,
        _heard,
        common.SERVICE,
        (
            ("Waiting: more requests than workers?", "“排队等待”：请求多于工作进程？"),
            (
                "Silence before the first sound (audio board): can it be trimmed?",
                "“首声前的静音”（音频质量看板）：能否裁掉？",
            ),
            ("Cold starts: warm the engine before it gets requests.", "冷启动：接收请求前先预热引擎。"),
        ),
    ),
    Objective(
        "real-time",
        99.0,
        "TTSRealTimeBudget",
        ("are computed faster than they are spoken", "合成快于播放"),
        _behind,
        _spoken,
        common.AUDIO,
        (
            ("Real-time factor by engine: which one?", "“各引擎实时率”：是哪个引擎？"),
            (
                "As TTSAcousticModelSlow: the device, fallbacks, requests at once.",
                "同 TTSAcousticModelSlow：设备、回退、并发。",
            ),
        ),
    ),
)


def specification() -> str:
    """What Sloth reads."""
    slos = [
        {
            "name": one.name,
            "objective": one.percent,
            "description": f"{one.percent:g} % of the requests {one.said[0]}",
            "sli": {
                "events": {
                    # No failure yet is no series yet: 0. Of very few requests no share is made: one that fails in a
                    # quiet night wakes nobody.
                    "error_query": f"({one.bad} or 0 * {one.total})",
                    "total_query": f"({one.total} > {thresholds.FEWEST_REQUESTS / 3600:.4f})",
                }
            },
            "alerting": {
                "name": one.alert,
                "annotations": {
                    "summary": f"{{{{ $labels.service_name }}}} uses up its budget: {one.percent:g} % of the "
                    "requests shall "
                    f"{one.said[0].replace('are ', 'be ', 1)}",
                    "summary_zh": f"{{{{ $labels.service_name }}}} 正在耗尽预算：目标是 {one.percent:g} % "
                    "的请求{one.said[1]}",
                    "board": one.look,
                    "runbook": f"docs/runbooks/{one.alert}.md",
                },
                "page_alert": {"labels": {"severity": "critical"}},
                "ticket_alert": {"labels": {"severity": "warning"}},
            },
        }
        for one in OBJECTIVES
    ]
    return f"version: prometheus/v1\nservice: tts\nslos: {json.dumps(slos, ensure_ascii=False)}\n"


def head() -> str:
    """How the file begins: of which objectives, and which Sloth, it is."""
    of = hashlib.sha256(f"{servers.SLOTH.version}\n{specification()}".encode()).hexdigest()[:16]
    return (
        "# Copyright The otel-tts Authors\n# SPDX-License-Identifier: Apache-2.0\n#\n"
        f"# Written by `python -m dashboards.objectives` from dashboards/objectives.py ({of}).\n"
    )


def generate() -> str:
    """The rule file, made by Sloth. Raises Trouble where it cannot be built or refuses."""
    sloth = build.build_tool(servers.SLOTH) / servers.SLOTH.binary
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "objectives.yml", Path(folder) / "rules.yml"
        given.write_text(specification(), encoding="utf-8")
        command = [str(sloth), "generate", "--no-color", f"--input={given}", f"--out={made}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise Trouble(f"Sloth refuses the objectives:\n{done.stdout}{done.stderr}")
        rules = made.read_text(encoding="utf-8")
    body = [line for line in rules.splitlines() if line and not line.startswith(("#", "---"))]
    return head() + "\n".join(body) + "\n"


def is_current() -> bool:
    """Whether the committed file is of these objectives; without Go."""
    return FILE.is_file() and FILE.read_text(encoding="utf-8").startswith(head())


def main() -> int:
    """Entry point; 1 where Sloth cannot be had."""
    try:
        FILE.write_text(generate(), encoding="utf-8")
    except Trouble as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
