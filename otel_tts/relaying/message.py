# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A group of alerts as one message in Markdown, in English or Chinese, with what was found about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from otel_tts import names
from otel_tts.causes.ask import Found
from otel_tts.relaying import mask
from otel_tts.relaying.alerts import Alert, Group
from otel_tts.relaying.evidence import Evidence

LANGUAGES: Final = ("en", "zh")

_LISTED: Final = 10
"""Alerts of a group that are told by their words."""

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "firing": ("Firing", "告警"),
    "over": ("Over", "已恢复"),
    "since": ("since", "开始于"),
    "lasted": ("from {} to {}", "{} 至 {}"),
    "more": ("… and {} more", "……另有 {} 个"),
    "lines": ("The last failures", "最近的失败"),
    "no lines": ("No failed request since {}", "自 {} 起没有失败的请求"),
    "slowest": ("The slowest request since {}", "自 {} 起最慢的请求"),
    "needs": ("needs {}", "通常 {}"),
    "why": ("Why", "原因"),
    "missing": ("Incomplete", "不完整"),
}


def title(group: Group, language: str) -> str:
    """What it is about, without any Markdown: a mail's subject."""
    which = mask.text(group.service, 80)
    named = ", ".join(dict.fromkeys(mask.text(one.name, 60) for one in group.alerts[:3]))
    state = _word("firing" if group.firing else "over", language)
    return " · ".join(filter(None, (state, which, named)))


def compose(group: Group, evidence: Evidence | None, language: str, link: str) -> str:
    """The message. `link` is an address with `{trace_id}` in it, or empty; without `evidence` the alerts alone."""
    rows = [*_alerts(group, language)]
    if evidence is not None:
        rows += [*_lines(evidence, language), *_slowest(evidence, language, link), *_missing(evidence, language)]
    return "\n".join(rows)


def _alerts(group: Group, language: str) -> Iterator[str]:
    state = _word("firing" if group.firing else "over", language)
    yield f"**{state}** " + mask.text(group.service, 80)
    for one in group.alerts[:_LISTED]:
        yield f"> {_summary(one, language)}"
        told = (mask.text(one.name, 60), mask.text(one.severity, 20), _when(one, language), _page(one))
        yield f"> {' · '.join(filter(None, told))}"
    if more := max(0, len(group.alerts) - _LISTED) + group.more:
        yield f"> {_word('more', language).format(more)}"


def _summary(one: Alert, language: str) -> str:
    chinese = one.annotations.get("summary_zh", "") if language == "zh" else ""
    return mask.text(chinese or one.annotations.get("summary", "") or one.name)


def _when(one: Alert, language: str) -> str:
    if not one.ends:
        return f"{_word('since', language)} {_clock(one.starts)}" if one.starts else ""
    return _word("lasted", language).format(_clock(one.starts), _clock(one.ends))


def _page(one: Alert) -> str:
    return mask.text(one.annotations.get("runbook", ""), 120)


def _lines(evidence: Evidence, language: str) -> Iterator[str]:
    if evidence.lines:
        yield ""
        yield f"**{_word('lines', language)}**"
        yield from (f"{_clock(one.time)} {mask.line(one)}" for one in evidence.lines)
    elif not any(one.startswith("no log lines") for one in evidence.missing):
        yield ""
        yield _word("no lines", language).format(_clock(evidence.since))


def _slowest(evidence: Evidence, language: str, link: str) -> Iterator[str]:
    if (found := evidence.slowest) is None:
        return
    synthesis = found.synthesis
    yield ""
    yield f"**{_word('slowest', language).format(_clock(evidence.since))}**"
    request = mask.value(names.REQUEST_ID, synthesis.request_id) or synthesis.trace_id
    shown = f"[{request}]({link.replace('{trace_id}', synthesis.trace_id)})" if link else request
    outcome = mask.value(names.OUTCOME, synthesis.outcome)
    yield f"{shown} {synthesis.waited + synthesis.seconds:.3f} s {outcome}".rstrip()
    yield from _stages(found, language)
    if found.why.causes:
        cause = found.why.causes[0]
        yield f"{_word('why', language)}: {mask.text(cause.title)}: {mask.text(cause.evidence)}"


def _stages(found: Found, language: str) -> Iterator[str]:
    """A row a stage, as `otel-tts find` has them: what it took, and what such a text usually needs."""
    needs = {} if found.why.excess is None else {part.stage: part.expected for part in found.why.excess.parts}
    for stage, seconds in sorted(found.synthesis.stages.items(), key=lambda one: -one[1]):
        usual = f" ({_word('needs', language).format(f'{needs[stage]:.3f}')})" if stage in needs else ""
        yield f"> {mask.value(names.STAGE, stage)} {seconds:.3f} s{usual}"


def _missing(evidence: Evidence, language: str) -> Iterator[str]:
    if evidence.missing:
        yield ""
        yield from (f"{_word('missing', language)}: {mask.text(one)}" for one in evidence.missing)


def _word(key: str, language: str) -> str:
    return _WORDS[key][LANGUAGES.index(language)]


def _clock(time: int) -> str:
    """A Unix time in nanoseconds as hours, minutes and seconds here; what is not of today with its date."""
    try:
        at = datetime.fromtimestamp(time / 1e9).astimezone()
    except (ValueError, OverflowError, OSError):
        return "?"
    return at.strftime("%H:%M:%S" if at.date() == datetime.now().astimezone().date() else "%m-%d %H:%M:%S")
