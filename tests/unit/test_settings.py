# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import pytest

from otel_tts import settings
from otel_tts.audio.thresholds import Thresholds
from otel_tts.commands import suggest
from otel_tts.settings import SETTINGS, Setting, Settings, read

# For each variable that can be wrong: a wrong value, and what the message has to say of the right ones.
WRONG = {
    "OTEL_TTS_ENABLED": ("perhaps", "true or false"),
    "OTEL_TTS_CLOCK": ("sundial", "auto, host, sync, events"),
    "OTEL_TTS_MEMORY_EVENTS": ("some", "span, logs, both, none"),
    "OTEL_TTS_VOICE_NAMES": ("anna.wav=anna", "hash=name"),
    "OTEL_TTS_MAX_STAGE_SPANS": ("64.5", "whole number"),
    "OTEL_TTS_STUCK_AFTER": ("0", "from 0.1 to 86400"),
    "OTEL_TTS_EXPORT_APP_LOGS": ("all", "metadata, body, none"),
    "OTEL_TTS_LOG_FORMAT": ("xml", "logfmt, json, none"),
    "OTEL_TTS_MAX_LABEL_VALUES": ("2001", "from 1 to 2000"),
    "OTEL_TTS_KEEP": ("10", "from 0 to 1"),
    "OTEL_TTS_KEEP_SLOW": ("3s", "a number"),
    "OTEL_TTS_KEEP_LATE": ("-1", "from 0 to 86400"),
    "OTEL_TTS_QUEUE_SIZE": ("15", "from 16 to 1000000"),
    "OTEL_TTS_SERVER_SPAN": ("both", "own, contrib"),
    "OTEL_TTS_SHUTDOWN_TIMEOUT": ("soon", "a number"),
    "OTEL_TTS_EXPORT_BYTES": ("-1", "from 0 to"),
    "OTEL_TTS_FILE_BYTES": ("1e9", "whole number"),
    "OTEL_TTS_FILE_DAYS": ("0", "from 0.01 to 36500"),
    "OTEL_TTS_GRADIO_PROGRESS": ("maybe", "true or false"),
    "OTEL_TTS_TRUST_CALLER": ("nobody", "true or false"),
    "OTEL_TTS_TRUST_PROXY": ("nginx", "true or false"),
    "OTEL_TTS_SILENCE_DBFS": ("3", "from -120 to 0"),
    "OTEL_TTS_CLIP_RATIO": ("nan", "from 0 to 1"),
    "OTEL_TTS_CLICKS_PER_SECOND": ("-1", "from 0 to"),
    "OTEL_TTS_DC_OFFSET": ("1.5", "from 0 to 1"),
    "OTEL_TTS_UNDERRUN": ("inf", "from 0 to 60"),
    "OTEL_TTS_NVML_INTERVAL": ("-1", "from 0 to 3600"),
    "OTEL_TTS_GPU_PRICE": ("3 EUR", "a number"),
    "OTEL_TTS_CURRENCY": ("euro", "three letters"),
}
BY_VARIABLE = {setting.variable: setting for setting in SETTINGS}


@pytest.mark.parametrize("variable", WRONG)
def test_a_wrong_value_keeps_the_default_and_says_what_is_right(variable: str) -> None:
    value, right = WRONG[variable]
    setting = BY_VARIABLE[variable]
    found = read({variable: value})
    assert getattr(found, setting.field) == setting.default
    (problem,) = found.problems
    assert problem.startswith(f"{variable}={value!r} must be ")
    assert right in problem
    assert problem.endswith(f"using the default {setting.default!r}")


def test_every_setting_that_can_be_wrong_is_tried_above() -> None:
    def takes_anything(setting: Setting) -> bool:
        return setting.kind in ("text", "path", "comma list")

    assert set(WRONG) == {s.variable for s in SETTINGS if not takes_anything(s)}


def test_a_secret_that_is_wrong_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> str:
        raise ValueError("must be longer")

    monkeypatch.setattr(settings, "SETTINGS", (dataclasses.replace(BY_VARIABLE["OTEL_TTS_HASH_KEY"], parse=refuse),))
    (problem,) = read({"OTEL_TTS_HASH_KEY": "hunter2"}).problems
    assert problem == "OTEL_TTS_HASH_KEY=**** must be longer; using the default ''"


def test_a_secret_is_masked_where_the_settings_are_described() -> None:
    assert settings.describe(read({"OTEL_TTS_HASH_KEY": "hunter2"})) == "OTEL_TTS_HASH_KEY=****"


def test_only_what_differs_from_the_defaults_is_described() -> None:
    assert settings.describe(Settings()) == ""
    found = read({"OTEL_TTS_VOICES": "alba, joe", "OTEL_TTS_CLOCK": "auto", "OTEL_TTS_QUEUE_SIZE": "64"})
    assert settings.describe(found) == "OTEL_TTS_VOICES=alba,joe OTEL_TTS_QUEUE_SIZE=64"


def test_every_field_is_a_row_of_the_table() -> None:
    assert [setting.field for setting in SETTINGS] == [f.name for f in dataclasses.fields(Settings)][:-1]
    assert [setting.default for setting in SETTINGS] == [getattr(Settings(), setting.field) for setting in SETTINGS]
    assert [s.variable for s in SETTINGS if s.variable != f"OTEL_TTS_{s.field.upper()}" or not s.meaning] == []


def test_a_default_is_what_its_own_text_is_read_as() -> None:
    for setting in SETTINGS:
        shown = ",".join(setting.default) if isinstance(setting.default, tuple) else str(setting.default)
        read_back = setting.parse(shown)
        assert (read_back, type(read_back)) == (setting.default, type(setting.default)), setting.variable


def test_settings_are_made_by_keyword_and_never_changed() -> None:
    made = Settings(clock="host", voices=("anna",), queue_size=64)
    assert (made.clock, made.voices, made.queue_size, made.log_format) == ("host", ("anna",), 64, "logfmt")
    assert dataclasses.replace(made, clock="auto").queue_size == 64
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.clock = "sync"


LIMITS = ("silence_dbfs", "clip_ratio", "clicks_per_second", "dc_offset", "underrun")


def test_the_limits_of_audio_are_settings() -> None:
    assert Settings().thresholds == Thresholds()
    for number, name in enumerate(LIMITS, 1):
        value = -number if name == "silence_dbfs" else number / 10
        limits = read({f"OTEL_TTS_{name.upper()}": str(value)}).thresholds
        assert limits == dataclasses.replace(Thresholds(), **{name: value})


@pytest.mark.parametrize("setting", [s for s in SETTINGS if "|" in s.kind], ids=lambda s: s.variable)
def test_each_choice_that_is_offered_is_taken(setting: Setting) -> None:
    for choice in setting.kind.split(" | "):
        found = read({setting.variable: f" {choice.upper()} "})
        assert (getattr(found, setting.field), found.problems) == (choice, ())


@pytest.mark.parametrize(
    ("raw", "value"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("FALSE", False), ("off", False)]
)
def test_true_and_false_have_many_spellings(raw: str, value: bool) -> None:
    assert read({"OTEL_TTS_ENABLED": raw}).enabled is value


def test_the_ends_of_a_range_belong_to_it() -> None:
    low = read({"OTEL_TTS_STUCK_AFTER": "0.1", "OTEL_TTS_QUEUE_SIZE": "16"})
    high = read({"OTEL_TTS_STUCK_AFTER": "86400", "OTEL_TTS_QUEUE_SIZE": "1000000"})
    assert (low.stuck_after, low.queue_size, low.problems) == (0.1, 16, ())
    assert (high.stuck_after, high.queue_size, high.problems) == (86400.0, 1_000_000, ())


def test_lists_are_split_at_commas_and_empty_parts_are_nothing() -> None:
    assert read({"OTEL_TTS_ALLOW_ATTRIBUTES": " app.tenant, ,app.queue.* ,"}).allow_attributes == (
        "app.tenant",
        "app.queue.*",
    )


HASH = "v-0123456789abcdef"


def test_names_of_voices_are_held_against_their_form() -> None:
    found = read({"OTEL_TTS_VOICE_NAMES": f" {HASH} = Anna Maria , v-{16 * 'f'}=安娜,", "OTEL_TTS_HASH_KEY": "key"})
    assert (found.voice_names, found.problems) == ((f"{HASH}=Anna Maria", f"v-{16 * 'f'}=安娜"), ())


@pytest.mark.parametrize(
    "value",
    ["anna", f"{HASH}=", HASH, f"{HASH}=a=b", f"{HASH}=voices/anna.wav", f"{HASH}={HASH}", f"{HASH}=" + 65 * "a",
     f"{HASH}=a\u202eb", f"{HASH}=a\tb", f"{HASH.upper()}=anna", f"{HASH}=anna,{HASH}=ben",
     ",".join(f"v-{number:016x}=a" for number in range(501))],
)  # fmt: skip
def test_names_of_voices_that_are_none_are_refused_together(value: str) -> None:
    found = read({"OTEL_TTS_VOICE_NAMES": value, "OTEL_TTS_HASH_KEY": "key"})
    assert found.voice_names == () and len(found.problems) == 1 and len(found.problems[0]) < 500


def test_names_of_voices_need_a_key() -> None:
    (problem,) = read({"OTEL_TTS_VOICE_NAMES": f"{HASH}=anna"}).problems
    assert "no effect without OTEL_TTS_HASH_KEY" in problem


def test_an_empty_value_is_as_if_unset() -> None:
    assert read(dict.fromkeys(BY_VARIABLE, "  ")) == Settings()
    assert read(dict.fromkeys(BY_VARIABLE, "")).problems == ()


def test_a_variable_that_is_not_a_setting_is_named() -> None:
    found = read({"OTEL_TTS_CLOK": "host", "OTEL_TTS_CACHE_DIR": "/var/cache", "OTEL_SERVICE_NAME": "speech"})
    assert found.problems == (f"OTEL_TTS_CLOK is not a setting of otel-tts; see `{suggest('settings')}`",)


def test_a_long_wrong_value_is_cut() -> None:
    (problem,) = read({"OTEL_TTS_CLOCK": "x" * 10_000}).problems
    assert len(problem) < 250


def test_without_an_argument_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TTS_CLOCK", "host")
    assert read().clock == "host"
