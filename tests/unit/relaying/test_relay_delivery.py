# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Messages reach WeChat Work once and in order, however it refuses; what it does not take is kept."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from otel_tts.readers.choice import NoStore
from otel_tts.relaying import delivery, places
from otel_tts.relaying.alerts import parse
from otel_tts.relaying.delivery import Pace
from otel_tts.relaying.evidence import Witness
from otel_tts.relaying.place import Place, Refused
from otel_tts.relaying.relay import Relay
from otel_tts.relaying.spool import Full, Spool
from otel_tts.trouble import Trouble
from tests.support import wechat
from tests.support.alerting import alert, payload
from tests.support.wechat import WeChatWork

QUICK = Pace(first_s=0.02, longest_s=0.1, minute_s=0.3)


@pytest.fixture
def company() -> Iterator[WeChatWork]:
    with WeChatWork() as one:
        yield one


def robot(company: WeChatWork, key: str = "") -> Place:
    return places.read(f"group {company.url}/cgi-bin/webhook/send?key={key or company.key}")[0]


def nothing() -> Any:
    raise NoStore("nothing here")


@contextmanager
def running(folder: Path, *to: Place, pace: Pace = QUICK, said: list[str] | None = None) -> Iterator[Relay]:
    said = [] if said is None else said
    relay = Relay(to, Spool(folder), Witness(nothing, nothing), "en", "", said.append, pace)
    relay.start()
    try:
        yield relay
    finally:
        relay.end()


def until(true: Callable[[], object], said: Callable[[], object] = str) -> None:
    patience = time.monotonic() + 20
    while not true():
        assert time.monotonic() < patience, said()
        time.sleep(0.01)


def groups(*names: str, **annotations: str):
    return [group for name in names for group in parse(payload(alert(name, **annotations)))]


def test_in_order_and_once(tmp_path: Path, company: WeChatWork) -> None:
    with running(tmp_path, robot(company)) as relay:
        relay.take(groups("A", "B"))
        again = groups("C")
        relay.take(again)
        relay.take(again)  # at once: Alertmanager did not hear that it was taken
        until(lambda: len(company.messages) == 3)
        until(lambda: not list(tmp_path.glob("*.json")))
        page = relay.page()
    assert [one.content.splitlines()[2].split()[1] for one in company.messages] == ["A", "B", "C"]
    assert {one.kind for one in company.messages} == {"markdown"}
    assert 'tts_relay_sent_total{tts_relay_to="group"} 3' in page and "tts_relay_groups_total 3" in page
    assert 'tts_relay_waiting{tts_relay_to="group"} 0' in page


def test_firing_and_over_are_two_messages(tmp_path: Path, company: WeChatWork) -> None:
    with running(tmp_path, robot(company)) as relay:
        relay.take(parse(payload(alert("A"), alert("B", "resolved"))))
        until(lambda: len(company.messages) == 2)
    first, second = (one.content for one in company.messages)
    assert first.startswith("**Firing**") and "B" not in first.split("Incomplete")[0]
    assert second.startswith("**Over**") and "Incomplete" not in second


@pytest.mark.parametrize("code", [wechat.TOO_OFTEN, -1])
def test_a_refusal_is_tried_again(tmp_path: Path, company: WeChatWork, code: int) -> None:
    company.refuse_next.extend([code] * 4)
    said: list[str] = []
    with running(tmp_path, robot(company), said=said) as relay:
        relay.take(groups("A", "B"))
        until(lambda: len(company.messages) == 2)
        page = relay.page()
    assert f'tts_relay_failed_total{{tts_relay_to="group",reason="errcode_{code}"}} 4' in page
    assert said == [
        f"group does not take messages (errcode {code}); they are kept and tried again", "group takes messages again"
    ]  # fmt: skip


def test_twenty_a_minute(tmp_path: Path, company: WeChatWork) -> None:
    began = time.monotonic()
    company.now = lambda: (time.monotonic() - began) * 60 / 0.3  # its minute is ours
    with running(tmp_path, robot(company)) as relay:
        relay.take(groups(*(f"A{n}" for n in range(45))))
        until(lambda: len(company.messages) == 45, lambda: (len(company.messages), company.refused))
    assert len(company.refused) <= 2  # at a minute's edge clocks may differ; without a limit it would be each


def test_a_wrong_key_waits_for_a_right_one(tmp_path: Path, company: WeChatWork) -> None:
    said: list[str] = []
    with running(tmp_path, robot(company, "wrongkey42"), said=said) as relay:
        relay.take(groups("A"))
        until(lambda: wechat.WRONG_KEY in company.refused)
        page = relay.page()
    assert "errcode_93000" in page
    assert "wrongkey42" not in page + "".join(said) + "".join(one.read_text() for one in tmp_path.glob("*.json"))
    with running(tmp_path, robot(company)):
        until(lambda: company.messages)


def test_down_for_a_while_and_killed_meanwhile(tmp_path: Path, company: WeChatWork) -> None:
    company.__exit__()
    with running(tmp_path, robot(company)) as relay:
        relay.take(groups("A", "B"))
        until(lambda: "ConnectionRefusedError" in relay.page())
        assert 'tts_relay_waiting{tts_relay_to="group"} 2' in relay.page()
    kept = sorted(tmp_path.glob("*.json"))
    assert len(kept) == 2 and all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in kept)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    kept[0].with_name("9999-x.json").write_text("{torn", encoding="utf-8")
    said: list[str] = []
    with running(tmp_path, robot(company), said=said) as relay:
        relay.take(groups("C"))
        company.__enter__()
        until(lambda: len(company.messages) == 3)
        until(lambda: not list(tmp_path.glob("*.json")))
    assert [one.content.splitlines()[2].split()[1] for one in company.messages] == ["A", "B", "C"]
    assert "1 messages in the folder cannot be read" in said[0]
    assert [one.name for one in tmp_path.glob("*.unreadable")] == ["9999-x.unreadable"]


def test_a_place_that_is_down_holds_up_no_other(tmp_path: Path, company: WeChatWork) -> None:
    dead = places.read("dead http://127.0.0.1:9/cgi-bin/webhook/send?key=k")[0]
    with running(tmp_path, dead, robot(company)) as relay:
        relay.take(groups("A"))
        until(lambda: company.messages)
        assert 'tts_relay_waiting{tts_relay_to="dead"} 1' in relay.page()
        time.sleep(0.2)
    assert len(company.messages) == 1
    with running(tmp_path, robot(company)):  # the dead one is not named any more
        until(lambda: not list(tmp_path.glob("*.json")))
    assert len(company.messages) == 1


def test_what_is_refused_for_itself_goes_aside(tmp_path: Path, company: WeChatWork) -> None:
    company.refuse_next.append(wechat.TOO_LONG)
    said: list[str] = []
    with running(tmp_path, robot(company), said=said) as relay:
        relay.take(groups("A", "B"))
        until(lambda: company.messages)
        page = relay.page()
    assert "B" in company.messages[0].content.splitlines()[2]
    (kept,) = (tmp_path / "aside").iterdir()
    assert '"A"' in kept.read_text(encoding="utf-8") and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert 'tts_relay_put_aside_total{tts_relay_to="group",reason="errcode_40058"} 1' in page
    assert "put aside" in said[0]


def test_old_news_goes_aside(tmp_path: Path, company: WeChatWork, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.take(groups("A")[0])
    spool.close()
    monkeypatch.setattr(delivery, "KEEP_NS", 0)
    with running(tmp_path, robot(company)):
        until(lambda: list((tmp_path / "aside").iterdir()))
    assert company.messages == []


def test_long_ones_come_in_pieces_and_go_on_where_they_stopped(tmp_path: Path, company: WeChatWork) -> None:
    long = [alert(f"A{n}", summary="声" * 300) for n in range(10)]  # 9000 bytes
    place = robot(company)

    class Interrupted:
        kind, most = "x", 4096

        def send(self, title: str, text: str) -> None:
            if text.startswith("(2/3)") and not company.refused:
                company.refuse_next.append(wechat.TOO_OFTEN)
            place.sender.send(title, text)

    with running(tmp_path, Place("group", Interrupted())) as relay:
        relay.take(parse(payload(*long)))
        until(lambda: len(company.messages) == 3)
        until(lambda: not list(tmp_path.glob("*.json")))
    assert [one.content[:5] for one in company.messages] == ["(1/3)", "(2/3)", "(3/3)"]
    assert all(len(one.content.encode()) <= 4096 for one in company.messages)
    assert company.refused == [wechat.TOO_OFTEN]


def test_a_full_folder_refuses(tmp_path: Path, company: WeChatWork, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    monkeypatch.setattr("otel_tts.relaying.spool.MOST", 2)
    for name in ("A", "B"):
        spool.take(groups(name)[0])
    with pytest.raises(Full):
        spool.take(groups("C")[0])
    spool.close()


def test_a_full_disk_refuses_and_loses_nothing_that_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.take(groups("A")[0])

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(Full, match="No space left"):
            spool.take(groups("B")[0])
        spool.note_sent(spool.waiting()[0].id, "group", 1)
    spool.close()
    again = Spool(tmp_path)
    assert [one.group.alerts[0].name for one in again.waiting()] == ["A"]
    assert again.take(groups("B")[0])
    again.close()


def test_a_clock_that_was_set_back_changes_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.take(groups("A")[0])
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    spool.take(groups("B")[0])
    assert [one.group.alerts[0].name for one in spool.waiting()] == ["A", "B"]
    spool.close()


def test_one_relay_a_folder(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(Trouble, match="Another relay"):
        Spool(tmp_path)
    spool.close()


def test_two_places_note_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for name in "ABCDEFGH":
        spool.take(groups(name)[0])
    both = frozenset({"x", "y"})

    def finish(place: str) -> None:
        for one in spool.waiting():
            spool.note_sent(one.id, place, 1)
            spool.finish(one.id, place, both)

    threads = [threading.Thread(target=finish, args=(place,)) for place in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spool.waiting() == [] and not list(tmp_path.glob("*.json"))
    spool.close()


def test_the_application_by_apprise(company: WeChatWork, monkeypatch: pytest.MonkeyPatch, caplog, capfd) -> None:
    """WeChat Work's application: its token, its refusals; nothing of them in any line."""
    from apprise.plugins.wechat import NotifyWeChat

    monkeypatch.setattr(NotifyWeChat, "token_url", f"{company.url}/cgi-bin/gettoken")
    monkeypatch.setattr(NotifyWeChat, "notify_url", f"{company.url}/cgi-bin/message/send")
    monkeypatch.setattr(NotifyWeChat, "request_rate_per_sec", 0)
    caplog.set_level(0)
    url = f"wechat://{company.corp_id}:{company.secret}@{company.agent_id}/@all?format=markdown"
    (place,) = places.read(url)
    place.sender.send("title", "**one** 声")
    company.expire()
    with pytest.raises(Refused):
        place.sender.send("title", "**two**")
    place.sender.send("title", "**three**")
    assert place.sender.most <= 2048
    assert [("one" in one.content, one.kind) for one in company.messages] == [(True, "markdown"), (False, "markdown")]
    (wrong,) = places.read(url.replace(company.secret, "wrongsecret42"))
    with pytest.raises(Refused) as raised:
        wrong.sender.send("title", "x")
    told = str(raised.value) + caplog.text + "".join(capfd.readouterr())
    assert "wrongsecret42" not in told and company.secret not in told
