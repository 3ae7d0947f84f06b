# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A report as a page and on paper: the same words and figures in both, in both languages, and nothing technical."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pypdfium2
import pytest

from otel_tts.reporting import page, paper, sheet
from otel_tts.reporting.report import Report
from otel_tts.reporting.sheet import Sheet
from otel_tts.reporting.wording import LANGUAGES, Language

MARKUP = "<script>alert(1)</script> #{7} $x$ *b*"
TECHNICAL = (
    "counter", "metric", "histogram", "outcome", "exception", "latency", "telemetry", "GPU", "p95", "quantile", "label",
    "trace", "Prometheus", "endpoint", "null", "None", "nan", "直方图", "指标", "计数器", "异常类", "分位", "遥测",
)  # fmt: skip


@pytest.fixture(params=LANGUAGES)
def written(told: Report, request: pytest.FixtureRequest) -> Sheet:
    return sheet.of(told, request.param)


class Text(HTMLParser):
    """The words of a page, without its style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self._in_style = False
        self.feed(re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def of_page(written: Sheet) -> str:
    return "\n".join(filter(None, Text(page.of(written)).words))


def of_paper(written: Sheet) -> str:
    document = pypdfium2.PdfDocument(paper.of(written, 0))
    return "\n".join(one.get_textpage().get_text_bounded() for one in document)


def bare(text: str) -> str:
    """Without blanks: lines are broken elsewhere on paper."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("read", [of_page, of_paper])
def test_all_that_is_said_is_there(written: Sheet, read: Callable[[Sheet], str]) -> None:
    text = bare(read(written))
    tables = [section.table for section in written.sections if section.table is not None]
    said = [
        written.title, written.subtitle, *written.notes, *written.advice, *written.lacking, *written.appendix_intro,
        *(part for tile in written.tiles for part in (tile.label, tile.value, tile.note)),
        *(sentence for section in written.sections for sentence in section.sentences),
        *(cell for table in tables for row in (table.head, *table.rows) for cell in row),
        *(part for made in written.appendix for part in (made.name, made.value, made.how, made.asked)),
    ]  # fmt: skip
    assert len(said) > 60
    assert [part for part in said if bare(part) not in text] == []


def test_nothing_technical_is_said_before_the_appendix(written: Sheet) -> None:
    text = of_page(written).partition(written.appendix_title)[0]
    assert len(text) > 800
    assert [word for word in TECHNICAL if re.search(rf"\b{word}s?\b", text, re.IGNORECASE)] == []


def test_figures_are_those_of_the_report(told: Report) -> None:
    text = of_paper(sheet.of(told, "en"))
    assert f"{told.figures.requests:,.0f}" in text
    assert f"{100 * (told.figures.prompt_share or 0):.1f}%" in text
    assert f"worked {(told.figures.gpu_seconds or 0) / 3600:.1f} hours" in text


def test_what_stands_in_telemetry_is_no_markup(told: Report) -> None:
    named = replace(told, figures=replace(told.figures, voices={MARKUP: 5.0}), service=MARKUP, source=MARKUP)
    written = sheet.of(named, "en")
    assert "<script" not in page.of(written)
    assert MARKUP in of_page(written)
    assert bare(MARKUP) in bare(of_paper(written))


def test_a_voice_that_has_a_hash_for_a_name_is_said_to_have_none(told: Report) -> None:
    hashed = replace(told, figures=replace(told.figures, voices={"v-0123456789abcdef": 5.0, "anna": 3.0}))
    (_, voices, *_), (_, chinese, *_) = (sheet.of(hashed, language).sections for language in LANGUAGES)
    assert voices.table is not None and chinese.table is not None
    assert [row[0] for row in voices.table.rows] == ["a voice without a name (0123)", "anna"]
    assert chinese.table.rows[0][0] == "未命名声音（0123）"


@pytest.mark.parametrize(
    ("last", "english", "chinese"),
    [
        (15.0, "The last seven days had 50% more requests than the first seven.", "最后七天比最初七天多 50%。"),
        (8.0, "The last seven days had 20% fewer requests than the first seven.", "最后七天比最初七天少 20%。"),
        (10.2, "Over the month it stayed about the same.", "月内使用量基本平稳。"),
    ],
)
def test_the_month_has_a_trend(told: Report, last: float, english: str, chinese: str) -> None:
    grown = replace(told, figures=replace(told.figures, by_day=(10.0,) * 24 + (last,) * 7, heard=(24,) * 31))
    said = [sheet.of(grown, language).sections[0].sentences for language in LANGUAGES]
    assert english in said[0] and chinese in said[1]
    unknown = replace(grown, figures=replace(grown.figures, by_day=(10.0,) * 30 + (None,), heard=(24,) * 30 + (0,)))
    assert english not in sheet.of(unknown, "en").sections[0].sentences


def test_a_page_needs_nothing_else(written: Sheet) -> None:
    text = page.of(written)
    assert re.findall(r"(?:src|href)=|@import|url\(", text) == []
    assert "default-src 'none'" in text
    for chart in (section.chart for section in written.sections):
        if chart is not None:
            assert ElementTree.fromstring(chart).tag.endswith("svg")


def test_a_chart_has_a_bar_for_each_day_and_a_gap(told: Report) -> None:
    volume, _, speed, *_ = sheet.of(told, "en").sections
    assert volume.chart is not None and speed.chart is not None
    titles = re.findall(r"<title>(.*?)</title>", volume.chart)
    assert titles.count("nothing is known") == 1
    blue: list[str] = re.findall(r'fill="#2f6db5"><title>(.*?)</title>', volume.chart)
    assert blue == [f"{count:,.0f}" for count in told.figures.by_day if count]
    assert len(re.findall("<polyline", speed.chart)) == 2 and len(re.findall("<circle", speed.chart)) == 30


def test_paper_costs_less_than_a_second_and_is_the_same_each_time(written: Sheet) -> None:
    first = paper.of(written, 1793462400 * 10**9)
    began = time.process_time()
    again = paper.of(written, 1793462400 * 10**9)
    assert time.process_time() - began < 1.0
    assert again == first and len(first) < 500_000


def test_paper_is_tagged_and_in_its_language(written: Sheet) -> None:
    made = paper.of(written, 0)
    assert b"/StructTreeRoot" in made and b"NotoSansSC" in made
    assert written.title in pypdfium2.PdfDocument(made).get_metadata_dict()["Title"]


def test_an_empty_month_is_no_error(told: Report) -> None:
    nothing = replace(
        told.figures, outcomes={}, voices={}, by_day=(None,) * 31, failed_by_day=(None,) * 31,
        prompt_by_day=(None,) * 31, measured=0.0, prompt=0.0, silent=0.0, audio_seconds=None, gpu_seconds=None,
        card_hours=None, cards=0, anomalies={},
    )  # fmt: skip
    empty = replace(told, figures=nothing, before=nothing, cost=None, cost_before=None, reasons={})
    for language in LANGUAGES:
        written = sheet.of(empty, language)
        assert "not known" in of_page(written) or "未知" in of_page(written)
        assert paper.of(written, 0).startswith(b"%PDF")


@pytest.mark.requires("chromium")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_browser_draws_all_of_it(
    told: Report, tmp_path: Path, requires: Callable[[str], str], language: Language
) -> None:
    """Seen as a picture: the charts' colours are on it, and nothing lies beyond the page's right edge."""
    (tmp_path / "page.html").write_text(page.of(sheet.of(told, language)), encoding="utf-8")
    picture = tmp_path / "page.pdf"
    subprocess.run(
        [
            requires("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer", f"--print-to-pdf={picture}",
            (tmp_path / "page.html").as_uri(),
        ],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    first = pypdfium2.PdfDocument(picture)[0]
    pixels = first.render(scale=1).to_numpy()
    blue = (abs(pixels[..., 0].astype(int) - 0xB5) < 8) & (abs(pixels[..., 2].astype(int) - 0x2F) < 8)
    assert blue.sum() > 3000  # the bars
    assert (pixels[:, -8:] > 240).all()
