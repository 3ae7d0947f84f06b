# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Pages in docs/ that are made from the descriptions: the boards, the alerts, a runbook for each alert; two languages.

A panel's question, a limit or an alert is written once: here only the words around them are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dashboards import questions as q
from dashboards import thresholds
from dashboards.boards import BOARDS
from dashboards.objectives import OBJECTIVES, Objective
from dashboards.questions import LANGUAGES, Language, Panel, Records, Words, say
from dashboards.rules import ALERTS, GROUPS
from dashboards.rules.alert import Alert, pretty
from dashboards.stores import PAIRS, JaegerVictoriaLogs, TempoLoki

FOLDERS: Mapping[Language, str] = {"en": "docs", "zh": "docs/zh-CN"}
GENERATED: Words = (
    "<!-- Written by `python -m dashboards.build`: change the descriptions in dashboards/. -->",
    "<!-- 由 `python -m dashboards.build` 生成：请修改 dashboards/ 中的描述。 -->",
)
SEVERITIES: Mapping[str, Words] = {"critical": ("critical", "严重"), "warning": ("warning", "警告")}
LOGS = {TempoLoki: "LogQL", JaegerVictoriaLogs: "LogsQL"}
SERVICE = "my-tts"
"""What stands for the variable in a query to copy."""


def render() -> dict[str, str]:
    """Every page, by its path from the repository's root."""
    texts: dict[str, str] = {}
    for language in LANGUAGES:
        folder = FOLDERS[language]
        texts[f"{folder}/boards.md"] = _join(_boards(language))
        texts[f"{folder}/alerts.md"] = _join(_alerts(language))
        for alert in ALERTS:
            texts[f"{folder}/runbooks/{alert.name}.md"] = _join(_runbook(alert, language))
        for objective in OBJECTIVES:
            texts[f"{folder}/runbooks/{objective.alert}.md"] = _join(_budget(objective, language))
    return texts


# --- boards ----------------------------------------------------------------------------------------------------------


def _boards(language: Language) -> Iterator[str]:
    yield say(GENERATED, language)
    yield "# " + say(("What the boards ask", "看板问什么"), language)
    yield say(
        (
            "Every panel of the six boards. *Asked of* is where its answer comes from: **M** Prometheus; **L** log "
            "records "
            "(Loki or VictoriaLogs); **T** the store of traces. Two pairs of stores can answer; where Jaeger "
            "cannot (it "
            "finds by equality only, in one service at a time, in no order), VictoriaLogs is asked, whose records "
            "have the "
            "same facts and the trace's id.",
            "六个看板的全部面板。“数据来自”说明答案出处：**M** Prometheus；**L** 日志（Loki 或 VictoriaLogs）；"
            "**T** 追踪存储。"
            "支持两组存储；Jaeger 无法回答的（只能按相等查找、一次一个服务、不能排序）改问 VictoriaLogs，"
            "其日志含有同样的事实和追踪 id。",
        ),
        language,
    )
    yield say(
        (
            "*May be empty* says why a panel may show nothing in good order.",
            "“可能为空”说明面板在正常情况下为何可能没有内容。",
        ),
        language,
    )
    head: tuple[Words, ...] = (
        ("panel", "面板"),
        ("Tempo, Loki", "Tempo、Loki"),
        ("Jaeger, VictoriaLogs", "Jaeger、VictoriaLogs"),
        ("may be empty", "可能为空"),
    )
    for board in BOARDS:
        yield f"## {say(board.title, language)} (`{board.uid}`)"
        yield say(board.meaning, language)
        rows = [
            [say(panel.title, language), *(_asked_of(panel, pair.traces) for pair in PAIRS), say(panel.empty, language)]
            for panel in board.panels
        ]
        yield _table([say(one, language) for one in head], rows)
    yield "## " + say(("Limits", "界限"), language)
    yield say(
        (
            "Each stands once, in `dashboards/thresholds.py`, for boards, alerts and objectives.",
            "每个界限只写一次，在 `dashboards/thresholds.py` 中，看板、告警与目标共用。",
        ),
        language,
    )
    limits = {name: value for name, value in vars(thresholds).items() if name.isupper()}
    yield _table(["", ""], [[f"`{name}`", f"{value:g}"] for name, value in limits.items()])


def _asked_of(panel: Panel, traces: str) -> str:
    if isinstance(panel, (q.Lines, q.Counts)):
        return "L"
    if isinstance(panel, q.Spans):
        return "T" if traces == "tempo" else "L"
    return "T" if isinstance(panel, q.Trace) else "M"


# --- alerts ----------------------------------------------------------------------------------------------------------


def _alerts(language: Language) -> Iterator[str]:
    yield say(GENERATED, language)
    yield "# " + say(("Alerts and objectives", "告警与目标"), language)
    head: tuple[Words, ...] = (("alert", "告警"), ("severity", "级别"), ("after", "持续"), ("when", "何时"))
    for group in GROUPS:
        yield f"## `{group.name}`"
        rows = [
            [
                f"[{alert.name}](runbooks/{alert.name}.md)",
                say(SEVERITIES[alert.severity], language),
                alert.lasts if alert.lasts != "0s" else say(("at once", "立即"), language),
                say(alert.meaning, language),
            ]
            for alert in group.alerts
        ]
        yield _table([say(one, language) for one in head], rows)
    yield "## " + say(("Objectives", "目标"), language)
    yield say(
        (
            "Over thirty days, by service. What is not met uses up a budget; an alert says so by how fast: "
            "*critical* where "
            "a fiftieth of the month's budget goes within an hour or a twentieth within six, *warning* where a "
            "tenth goes "
            "within a day or three. Hours with fewer than "
            f"{thresholds.FEWEST_REQUESTS} requests do not count. Change them in `dashboards/objectives.py`, then "
            "`python -m dashboards.objectives`.",
            "以三十天计，按服务。未达到的部分消耗预算，按消耗速度告警："
            "一小时内用掉月预算的五十分之一或六小时内用掉二十分之一为“严重”，"
            "一天或三天内用掉十分之一为“警告”。每小时少于 "
            f"{thresholds.FEWEST_REQUESTS} 个请求的时段不计。在 `dashboards/objectives.py` 中修改，"
            "然后运行 `python -m dashboards.objectives`。",
        ),
        language,
    )
    rows = [
        [f"[{one.alert}](runbooks/{one.alert}.md)", f"{one.percent:g} %", say(one.said, language)] for one in OBJECTIVES
    ]
    columns: tuple[Words, ...] = (("alert", "告警"), ("of the requests", "请求占比"), ("shall", "目标"))
    yield _table([say(one, language) for one in columns], rows)


def _runbook(alert: Alert, language: Language) -> Iterator[str]:
    yield say(GENERATED, language)
    yield f"# {alert.name}"
    after = say(
        ("at once", "立即") if alert.lasts == "0s" else (f"after {alert.lasts}", f"持续 {alert.lasts} 后"), language
    )
    yield f"**{say(SEVERITIES[alert.severity], language)}**, {after}. {say(alert.meaning, language)}"
    yield from _first_look(alert.look, alert.ask, alert.show, language)
    yield from _remedies(alert.remedies, language)
    yield "## " + say(("The rule", "规则"), language)
    yield f"```promql\n{pretty(alert.promql)}\n```"


def _budget(objective: Objective, language: Language) -> Iterator[str]:
    yield say(GENERATED, language)
    yield f"# {objective.alert}"
    yield say(
        (
            f"**critical** or **warning**, by how fast the budget goes. Over thirty days {objective.percent:g} % of "
            f"the "
            f"requests shall {objective.said[0].replace('are ', 'be ', 1)}; at the present pace they will not.",
            f"**严重**或**警告**，取决于预算消耗的速度。目标：三十天内 {objective.percent:g} % "
            f"的请求{objective.said[1]}；"
            "按现在的速度将无法达到。",
        ),
        language,
    )
    show = f'slo:current_burn_rate:ratio{{sloth_id="tts-{objective.name}"}}'
    yield from _first_look(objective.look, None, show, language)
    yield from _remedies(objective.remedies, language)


def _first_look(look: str, ask: Records | None, show: str, language: Language) -> Iterator[str]:
    yield "## " + say(("First look", "先看什么"), language)
    (board,) = (board for board in BOARDS if board.uid == look)
    yield say(
        (f"Board *{board.title[0]}* (`{look}`), first row.", f"看板“{board.title[1]}”（`{look}`），第一行。"), language
    )
    if ask is not None:
        for pair in PAIRS:
            yield f"{LOGS[type(pair)]}:"
            yield f"```\n{_filled(pair.lines(ask).text)}\n```"
    if show:
        yield "PromQL:"
        yield f"```promql\n{show}\n```"


def _remedies(remedies: Sequence[Words], language: Language) -> Iterator[str]:
    yield "## " + say(("What to do", "怎么办"), language)
    yield "\n".join(f"{number}. {say(one, language)}" for number, one in enumerate(remedies, 1))


def _filled(query: str) -> str:
    """A query to copy: of one service, of all its engines."""
    query = query.replace('=~"^(${service:pipe})$"', f'="{SERVICE}"').replace('=~"$service"', f'="{SERVICE}"')
    query = query.replace(' tts.engine.name:~"^(${engine:pipe})$"', "").replace(' | tts_engine_name=~"$engine"', "")
    return query.replace("$slower_than", f"{thresholds.SLOW:g}")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def _join(parts: Iterator[str]) -> str:
    return "\n\n".join(parts) + "\n"
