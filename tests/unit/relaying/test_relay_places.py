# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where to send is read from the environment or a file of one's own, and never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_tts.relaying import credentials, places
from otel_tts.trouble import WrongUse

ROBOT = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k1"
DING = "https://oapi.dingtalk.com/robot/send?access_token=t1&secret=SEC1"


def test_each_kind_gets_a_name() -> None:
    text = f"# ours\n{ROBOT}\nnight {ROBOT}\n{ROBOT}\n\n{DING}\nslack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#x"
    found = places.read(text)
    assert [one.name for one in found] == ["wechat-robot", "night", "wechat-robot-2", "dingtalk", "slack"]
    assert [one.sender.most for one in found[:4]] == [4096, 4096, 4096, 18000]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense://verysecret", "https://example.org/verysecret", "a b https://verysecret", "verysecret",
        "ü https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=verysecret", "wechat://verysecret", "dingtalk://verysecret",
        "wecombot://verysecret-7xxx-4bc4-97a0-0ec2sifa5aaa", "http://[verysecret",
        f"x {ROBOT}verysecret\nx {ROBOT}verysecret",
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_by_its_number(line: str, caplog, capfd) -> None:
    with pytest.raises(WrongUse, match=r"Line \d of where to send is wrong") as raised:
        places.read(line)
    assert "verysecret" not in str(raised.value) + caplog.text + "".join(capfd.readouterr())


def test_nobody_named_is_wrong_use() -> None:
    with pytest.raises(WrongUse, match="RELAY_TO"):
        places.read("\n# nobody\n")


def test_a_file_is_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(" secret \n", encoding="utf-8")
    for mode in (0o644, 0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(WrongUse, match="chmod 600"):
            credentials.read("X", path, {"X": "other"})
    path.chmod(0o600)
    assert credentials.read("X", path, {"X": "other"}) == "secret"
    assert credentials.read("X", None, {"X": "other\n"}) == "other"
    assert credentials.read("X", None, {}) == ""


def test_what_cannot_be_read_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "empty").touch(0o600)
    (tmp_path / "binary").touch(0o600)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "empty", tmp_path / "binary"):
        with pytest.raises(WrongUse):
            credentials.read("X", path, {"X": "other"})
