# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The bench itself: what it makes of its numbers, what it refuses, and a short run of two builds. No time is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.bench import plots, side_by_side
from tests.bench.against import compare, why_not
from tests.bench.builds import HERE, ROOT, Build
from tests.bench.parts import parts
from tests.bench.report import Against, Row, exactly, missing, plain

NEW, OLD = Build("new", HERE.python, ROOT), Build("old", HERE.python, ROOT)


def bench(*arguments: str, module: str = "tests.bench", **env: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=os.environ | env, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def compared(tmp_path: Path, new: list[list[Row]], old: list[list[Row]], percent: float = 5.0) -> list[Row]:
    """What becomes of the rows that both builds have in each run."""
    turns = iter(zip(new, old, strict=True))

    def part(builds: object, folder: Path) -> list[list[Row]]:
        assert isinstance(builds, tuple)
        now = dict(zip((NEW, OLD), next(turns), strict=True))
        return [now[build] for build in builds]

    return compare(NEW, OLD, {"part": part}, (), tmp_path, len(new), percent)


def numbers(*values: float, against: Against = Against.JUDGED) -> list[list[Row]]:
    return [[plain("section", "what", value, "µs", against=against)] for value in values]


@pytest.mark.parametrize(("values", "met"), [((10.4, 10.4, 90.0), True), ((10.6, 10.6, 1.0), False)])
def test_the_median_of_the_ratios_is_judged(tmp_path: Path, values: tuple[float, ...], met: bool) -> None:
    (row,) = compared(tmp_path, numbers(*values), numbers(10.0, 10.0, 10.0))
    assert (row.met, row.target, row.number) == (met, "≤ 1.05", pytest.approx(sorted(values)[1] / 10))
    assert f"({min(values) / 10:.3f} to {max(values) / 10:.3f};" in row.value


def test_the_limit_is_a_choice(tmp_path: Path) -> None:
    (row,) = compared(tmp_path, numbers(12.0), numbers(10.0), percent=25)
    assert (row.met, row.target) == (True, "≤ 1.25")


def test_extremes_are_shown_and_not_judged(tmp_path: Path) -> None:
    (row,) = compared(tmp_path, numbers(30.0, against=Against.SHOWN), numbers(10.0))
    assert (row.met, row.number) == (None, pytest.approx(3.0))


@pytest.mark.parametrize("earlier", [0.0, -1.0])
def test_a_difference_that_is_not_above_zero_has_no_ratio(tmp_path: Path, earlier: float) -> None:
    (row,) = compared(tmp_path, numbers(1.0, 1.0, against=Against.SHOWN), numbers(2.0, earlier))
    assert (row.met, row.number) == (None, None) and "no ratio" in row.value


def test_what_otel_tts_has_no_part_in_is_left_out(tmp_path: Path) -> None:
    no_part = [[plain("section", "what", 1.0, "s", against=Against.NO), missing("section", "other", "absent")]]
    assert compared(tmp_path, no_part, no_part) == []


def test_what_fails_in_one_run_fails(tmp_path: Path) -> None:
    runs = [[exactly("section", "lost", lost, "nothing")] for lost in ([], ["3 of 5 spans"], [])]
    (row,) = compared(tmp_path, runs, runs)
    assert (row.met, row.value) == (False, "3 of 5 spans")


def test_a_part_has_no_peers_where_builds_are_compared() -> None:
    assert "peers" in parts(True, 1, peers=True) and "peers" not in parts(True, 1, peers=False)


def test_a_file_that_is_no_wheel_of_otel_tts_is_said(tmp_path: Path) -> None:
    text = tmp_path / "otel_tts-0.1.0-py3-none-any.whl"
    text.write_text("no archive")
    assert "is no wheel" in (why_not(text) or "")
    assert "there is no wheel" in (why_not(tmp_path / "gone.whl") or "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--against", "gone.whl"), "there is no wheel gone.whl"),
        (("--against", "README.md"), "README.md is no wheel"),
        (("--only", "nonsense"), "there is no part nonsense; there are cost,"),
        (("--only", "cost", "--write"), "--write needs all parts"),
        (("--times", "0"), "--times and --idle are at least 1"),
    ],
)
def test_wrong_use_is_said(arguments: tuple[str, ...], said: str) -> None:
    status, out, err = bench(*arguments)
    assert (status, out) == (2, "") and said in err and "Traceback" not in err


def test_two_builds_in_one_run(tmp_path: Path) -> None:
    """The wheel of this checkout against this checkout: every ratio is there. The limit is out of reach."""
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    downloads = subprocess.run([sys.executable, "-m", "uv", "cache", "dir"], capture_output=True, text=True, check=True)
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "UV_CACHE_DIR": downloads.stdout.strip()}
    limits = ("--times", "1", "--limit", "100000")
    status, out, err = bench("--against", str(wheel), "--only", "streams", "pieces", "--json", *limits, **env)
    assert status == 0, err
    rows = [row for row in json.loads(out)["rows"] if row["target"] != "equal"]
    assert len(rows) > 8 and all(row["number"] > 0 and row["met"] for row in rows)
    assert len(list((tmp_path / "cache" / "otel-tts" / "venvs").iterdir())) == 1


def test_charts_of_a_run(tmp_path: Path) -> None:
    rows = [
        plain(side_by_side.SECTION, f"{name}: CPU / by hand", value, "×")
        for name, value in (("otel-tts", 0.5), ("another <b> & co", 2.0))
    ]
    run = tmp_path / "run.json"
    run.write_text(json.dumps({"rows": [asdict(row) for row in rows]}))
    (tmp_path / "start.svg").write_text("of an earlier run")
    status, out, err = bench(str(run), str(tmp_path), module="tests.bench.plots")
    assert (status, err, out.split()) == (0, "", [str(tmp_path / "request-cpu.svg")])
    assert not (tmp_path / "start.svg").exists()
    svg = Xml.fromstring((tmp_path / "request-cpu.svg").read_text(encoding="utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    words = [text.text for text in svg.iter(f"{space}text")]
    assert words[1:] == ["by hand, with the SDK", "1 ×", "otel-tts", "0.5 ×", "another <b> & co", "2 ×"]
    lengths = [float(bar.get("width", 0)) for bar in svg.iter(f"{space}rect")][1:]
    assert lengths == [200.0, 100.0, 400.0]


def test_charts_of_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    run.write_text('{"rows": []}')
    status, _, err = bench(str(run), str(tmp_path), module="tests.bench.plots")
    assert status == 1 and "make bench-peers" in err
    run.write_text("{}")
    status, _, err = bench(str(run), str(tmp_path), module="tests.bench.plots")
    assert status == 2 and "is not what" in err and "Traceback" not in err
    assert isinstance(plots.PLOTS, tuple) and len({plot.file for plot in plots.PLOTS}) == len(plots.PLOTS)
