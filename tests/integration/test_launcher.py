# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How otel-tts gets into a process: by the launcher, by its own command, by one call; and how it stays out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from otlp_sink import OtlpSink
from serving import Server

Script = Callable[..., "subprocess.CompletedProcess[str]"]

ONE_SPAN = """
    from opentelemetry import trace
    with trace.get_tracer("otel_tts").start_as_current_span("tts.vocoder", attributes={"said": "secret words"}):
        pass
"""
APP = """
    import fastapi
    app = fastapi.FastAPI()
    @app.get("/")
    def root(): return {}
"""
UVICORN = ["opentelemetry-instrument", "uvicorn", "app:app", "--port", "{port}"]
OTEL_TTS_RUN = ("otel-tts", "run", "--")


def say(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def started(text: str) -> list[str]:
    return [line for line in text.splitlines() if "gate=" in line]


def test_a_script_is_exported_through_the_gate_with_one_start_line(sink: OtlpSink, script: Script) -> None:
    ended = script(ONE_SPAN, sink.env(OTEL_EXPORTER_OTLP_HEADERS="x-tenant=t,authorization=Basic%20secret-token"))
    (span,) = sink.spans()
    assert "said" not in span.attributes
    assert span.resource["telemetry.distro.name"] == "otel-tts"
    assert span.resource["service.name"] == "test"
    (line,) = started(ended.stderr)
    for part in ("service.name=test", f"http/protobuf {sink.endpoint}", "clock=host", "gate=on", "authorization=****"):
        assert part in line
    assert "secret" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


def test_the_start_line_says_what_the_clock_costs(sink: OtlpSink, script: Script) -> None:
    (line,) = started(script(ONE_SPAN, sink.env(OTEL_TTS_CLOCK="sync")).stderr)
    assert "clock=sync(waits for the device at both ends of each stage: for debugging only)" in line


@pytest.mark.parametrize("launch", ["opentelemetry-instrument", "opentelemetry-instrument --", "otel-tts run --"])
def test_a_programs_own_options_are_its_own(sink: OtlpSink, launch: str) -> None:
    """OpenTelemetry's launcher takes its options, abbreviated too, from among the program's: ours add none.

    Its own (``--config`` is short for two of them) are kept away by ``--``.
    """
    options = ["--tts", "pocket", "--tts_clock", "x", *(("--config", "y") if launch.endswith("--") else ())]
    ended = say(sink.env(), *launch.split(), sys.executable, "-c", "import sys; print(sys.argv[1:])", *options)
    assert (ended.returncode, ended.stdout) == (0, f"{options}\n"), ended.stderr
    assert "tts" not in say(sink.env(), "opentelemetry-instrument", "--help").stdout


def test_what_is_wrong_with_the_settings_is_said(sink: OtlpSink, script: Script) -> None:
    env = sink.env(OTEL_TTS_CLOCK="sundial", OTEL_TTS_COLOUR="red", OTEL_EXPORTER_OTLP_TIMEOUT="10000")
    del env["OTEL_SERVICE_NAME"]
    told = script(ONE_SPAN, env).stderr
    for part in (
        "OTEL_TTS_CLOCK='sundial'",
        "OTEL_TTS_COLOUR",
        "OTEL_EXPORTER_OTLP_TIMEOUT=10000",
        "OTEL_SERVICE_NAME",
    ):
        assert told.count(part) == 1, told
    assert len(sink.spans()) == 1


@pytest.mark.parametrize("switch", [{"OTEL_TTS_ENABLED": "false"}, {"OTEL_SDK_DISABLED": "true"}])
def test_switched_off_nothing_leaves_and_nothing_breaks(
    sink: OtlpSink, serve: Callable[..., Server], switch: dict[str, str]
) -> None:
    server = serve(APP, UVICORN, sink.env(OTEL_PROPAGATORS="none", **switch))
    answer = server.get("/")
    server.stop()
    assert (answer.status, answer.request_ids) == (200, [])
    assert sink.paths() == []


def test_an_excluded_url_leaves_nothing_of_fastapis_own_either(sink: OtlpSink, serve: Callable[..., Server]) -> None:
    app = APP.replace('@app.get("/")', '@app.get("/health")\n    @app.get("/")')
    server = serve(app, UVICORN, sink.env(OTEL_PYTHON_EXCLUDED_URLS="health"))
    assert server.get("/health", x_request_id="r1").request_ids == ["r1"]
    assert server.get("/").status == 200
    server.stop()
    assert [span.name for span in sink.spans() if span.kind == "SERVER"] == ["GET /"]
    assert {point.attributes["http.route"] for point in sink.points("http.server.request.duration")} == {"/"}


CONFIG = """
file_format: "1.0"
resource:
  attributes: [{{name: service.name, value: from-file}}]
tracer_provider:
  processors: [{{batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/traces"}}}}}}}}]
"""


def test_a_configuration_file_without_propagator(sink: OtlpSink, serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "otel.yaml").write_text(CONFIG.format(endpoint=sink.endpoint))
    server = serve(APP, UVICORN, sink.env(OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml")))
    assert server.get("/", x_request_id="r1").status == 200
    server.stop()
    (span,) = [span for span in sink.spans() if span.kind == "SERVER"]
    assert span.attributes["request_id"] == "r1"
    assert span.resource["service.name"] == "from-file"
    assert span.resource["telemetry.distro.name"] == "otel-tts"
    assert "gate=on" in server.stderr


def test_no_propagators_at_all(sink: OtlpSink, serve: Callable[..., Server]) -> None:
    server = serve(APP, UVICORN, sink.env(OTEL_PROPAGATORS="none"))
    assert server.get("/", traceparent=f"00-{'1' * 32}-{'2' * 16}-01").status == 200
    server.stop()
    (span,) = [span for span in sink.spans() if span.kind == "SERVER"]
    assert span.trace_id != "1" * 32


TROUBLE = {
    "unknown exporter": ({"OTEL_TRACES_EXPORTER": "pigeon"}, "pigeon"),
    "no such file": ({"OTEL_CONFIG_FILE": "/nonexistent/otel.yaml"}, "/nonexistent/otel.yaml"),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_set_up_that_fails_leaves_the_program_alone(sink: OtlpSink, script: Script, trouble: str) -> None:
    variables, named = TROUBLE[trouble]
    ended = script(f"{ONE_SPAN}\n    print('done')\n", sink.env(**variables))
    assert (ended.returncode, ended.stdout) == (0, "done\n")
    assert named in ended.stderr and "It is left out, the rest goes on" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sink.spans() == []


def test_a_configuration_file_without_the_package_that_reads_it(sink: OtlpSink, script: Script, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "opentelemetry" / "configuration"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ImportError('not installed')")
    env = sink.env(OTEL_CONFIG_FILE="/etc/otel.yaml", PYTHONPATH=str(tmp_path / "missing"))
    ended = script("print('done')", env)
    assert (ended.returncode, ended.stdout) == (0, "done\n")
    assert "pip install " in ended.stderr and "[config]'" in ended.stderr
    assert "Traceback" not in ended.stderr


RIVAL = """
from opentelemetry.instrumentation.distro import BaseDistro
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
class Distro(BaseDistro):
    def _configure(self, **kwargs): print("rival distro")
class Configurator(_OTelSDKConfigurator):
    def _configure(self, **kwargs): print("rival configurator")
class Broken:
    def instrument(self, **kwargs): raise RuntimeError("broken instrumentor")
"""


def install_rival(folder: Path, entry_points: str) -> str:
    """Make a distribution as pip would leave it, first on the path."""
    info = folder / "rival" / "aaa_rival-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aaa-rival\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    (info.parent / "rival_distro.py").write_text(RIVAL)
    return str(info.parent)


BOTH = """
[opentelemetry_distro]
rival = rival_distro:Distro
[opentelemetry_configurator]
rival = rival_distro:Configurator
"""


def test_our_command_wins_over_another_distribution(sink: OtlpSink, script: Script, tmp_path: Path) -> None:
    env = sink.env(PYTHONPATH=install_rival(tmp_path, BOTH))

    first_found = script(ONE_SPAN, env)
    assert "rival distro" in first_found.stdout and sink.spans() == []  # or this test would prove nothing

    chosen = script(ONE_SPAN, env, launcher=OTEL_TTS_RUN)
    assert "rival" not in chosen.stdout and len(sink.spans()) == 1, chosen.stderr


def test_one_broken_instrumentation_does_not_stop_the_others(sink: OtlpSink, script: Script, tmp_path: Path) -> None:
    broken = install_rival(tmp_path, "[opentelemetry_instrumentor]\naaa = rival_distro:Broken\n")
    ended = script("import logging; logging.getLogger('app').warning('x')", sink.env(PYTHONPATH=broken))
    assert "'aaa' failed with RuntimeError" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [log.scope for log in sink.logs() if log.scope == "app"] == ["app"]  # the logging instrumentation came later


def test_our_command_speaks_plainly(sink: OtlpSink, tmp_path: Path) -> None:
    plain = tmp_path / "plain.py"
    plain.write_text("print(1)")
    for arguments, status, told in (
        ([], 2, "no command"),
        (["--"], 2, "no command"),
        (["no-such-command"], 127, "no-such-command was not found"),
        ([str(plain)], 126, "otel-tts run -- python"),
    ):
        ended = say(sink.env(), "otel-tts", "run", *arguments)
        assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
        assert told in ended.stderr and "Traceback" not in ended.stderr
    help_text = say(sink.env(), "otel-tts", "run", "--help")
    assert help_text.returncode == 0 and "COMMAND" in help_text.stdout


def test_our_command_passes_arguments_and_status_on(sink: OtlpSink) -> None:
    code = "import sys; print(sys.argv[1:]); sys.exit(5)"
    for separator in ((), ("--",)):
        ended = say(sink.env(), "otel-tts", "run", *separator, sys.executable, "-c", code, "--help", "-x", "a b")
        assert (ended.returncode, ended.stdout) == (5, "['--help', '-x', 'a b']\n"), ended.stderr


@pytest.mark.parametrize("activated", [True, False])
def test_our_command_finds_what_lies_beside_it(sink: OtlpSink, tmp_path: Path, activated: bool) -> None:
    """``.venv/bin/otel-tts run -- uvicorn …`` means the uvicorn of .venv; in an activated one PATH decides as ever."""
    beside, other = Path(sys.executable).parent, tmp_path / "bin"
    other.mkdir()
    folders = [str(other), *([str(beside)] if activated else []), os.defpath]
    env = sink.env() | {"PATH": os.pathsep.join(folders)}
    command = [str(beside / "otel-tts"), "run", "--"]
    ended = say(env, *command, "uvicorn", "--version")
    assert ended.returncode == 0 and "uvicorn" in ended.stdout, ended.stderr
    for name in ("uvicorn", "mine"):
        (other / name).write_text("#!/bin/sh\necho mine\n")
        (other / name).chmod(0o755)
    assert (say(env, *command, "uvicorn", "--version").stdout == "mine\n") is activated
    assert say(env, *command, "mine").stdout == "mine\n"


def test_propagators_that_are_not_installed_are_left_out(sink: OtlpSink, script: Script) -> None:
    env = sink.env(OTEL_PROPAGATORS="tracecontext,b3multi,pigeon")
    source = """
    import os
    from opentelemetry import propagate, trace
    with trace.get_tracer("otel_tts").start_as_current_span("tts.vocoder"):
        carrier = {}
        propagate.inject(carrier)
    print(os.environ["OTEL_PROPAGATORS"], *carrier)
    """
    ended = script(source, env, launcher=OTEL_TTS_RUN)
    assert (ended.returncode, ended.stdout) == (0, "tracecontext traceparent\n"), ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if "OTEL_PROPAGATORS" in line]
    assert "tracecontext,b3multi,pigeon" in line and "pip install opentelemetry-propagator-b3" in line
    assert len(sink.spans("tts.vocoder")) == 1


def test_children_inherit_no_defaults_of_ours(sink: OtlpSink, script: Script) -> None:
    ended = script(
        "import os; print(*sorted(k for k in os.environ if k.startswith('OTEL_')))", sink.env(OTEL_LOGS_EXPORTER="none")
    )
    assert ended.stdout.split() == ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_LOGS_EXPORTER", "OTEL_SERVICE_NAME"]


def test_configure_in_code(sink: OtlpSink, script: Script) -> None:
    source = f"""
    import otel_tts
    otel_tts.configure(service_name="in-code", endpoint="{sink.endpoint}", allow_attributes=["mood"])
    otel_tts.configure(service_name="again")
    from opentelemetry import trace
    with trace.get_tracer("otel_tts").start_as_current_span("tts.vocoder", attributes={{"mood": "good", "x": "y"}}):
        pass
    try:
        otel_tts.configure(colour="red")
    except TypeError as error:
        print("colour" in str(error))
    """
    ended = script(source, {**sink.env(), "OTEL_SERVICE_NAME": "variable"}, launcher=())
    assert ended.stdout == "True\n", ended.stderr
    (span,) = sink.spans()
    assert span.resource["service.name"] == "in-code"
    assert span.attributes == {"mood": "good"}
    assert len(started(ended.stderr)) == 1
    (kept,) = names_that_stay(ended.stderr)
    assert "service_name='again'" in kept and "traces keep in-code, metrics keep in-code, logs keep in-code" in kept


def test_configure_under_the_launcher_changes_nothing(sink: OtlpSink, script: Script) -> None:
    source = f"import otel_tts; otel_tts.configure(service_name='late')\n{ONE_SPAN.replace('    ', '', 1)}"
    ended = script("\n".join(line.removeprefix("    ") for line in source.splitlines()), sink.env())
    assert [span.resource["service.name"] for span in sink.spans()] == ["test"], ended.stderr
    assert len(started(ended.stderr)) == 1
    assert len(names_that_stay(ended.stderr)) == 1


def names_that_stay(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if "names no provider" in line]


@pytest.mark.parametrize(("name", "said"), [("mine", []), ("other", ["traces keep mine;"])])
def test_a_provider_that_is_there_keeps_its_name_and_that_is_said(
    sink: OtlpSink, script: Script, name: str, said: list[str]
) -> None:
    source = f"""
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider(resource=Resource({{"service.name": "mine"}})))
    import otel_tts
    otel_tts.configure(service_name="{name}", endpoint="{sink.endpoint}")
    from opentelemetry import metrics
    metrics.get_meter("test").create_counter("tts.requests").add(1)
    """
    ended = script(source, sink.env(), launcher=())
    assert ended.returncode == 0, ended.stderr
    lines = names_that_stay(ended.stderr)
    assert len(lines) == len(said) and all(text in line for text, line in zip(said, lines, strict=True)), ended.stderr
    assert f"service.name={name if name == 'mine' else 'mine'}" in started(ended.stderr)[0]


def test_providers_of_the_application_are_joined(sink: OtlpSink, script: Script) -> None:
    source = f"""
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    mine = TracerProvider(resource=Resource({{"service.name": "own"}}))
    mine.add_span_processor(BatchSpanProcessor(OTLPSpanExporter("{sink.endpoint}/v1/traces")))
    trace.set_tracer_provider(mine)
    import otel_tts
    otel_tts.configure(endpoint="{sink.endpoint}")
    assert trace.get_tracer_provider() is mine
    with trace.get_tracer("otel_tts").start_as_current_span("tts.vocoder", attributes={{"said": "secret"}}):
        metrics.get_meter("test").create_counter("tts.requests").add(1)
    """
    ended = script(source, sink.env(), launcher=())
    assert ended.returncode == 0, ended.stderr
    (span,) = sink.spans("tts.vocoder")
    assert span.resource["service.name"] == "own"
    assert span.attributes["said"] == "secret"  # exporters that the application added are its own
    assert [point.value for point in sink.latest("tts.requests")] == [1]
    assert "Overriding" not in ended.stderr and "traces=joined" in ended.stderr


CONSOLE = {
    "nobody shows it": ("logging.getLogger('app').warning('seen')", "seen"),
    "basicConfig": ("logging.basicConfig(format='%(message)s'); logging.getLogger('app').warning('seen')", "seen"),
    "basicConfig with ids": (
        "logging.basicConfig(format='%(message)s %(request_id)s %(trace_id)s');"
        "logging.getLogger('app').warning('seen')",
        "seen - -",
    ),
    "own handler": (
        "log = logging.getLogger('app'); log.addHandler(logging.StreamHandler()); log.warning('seen')", "seen"
    ),
    "opentelemetry's own": ("logging.getLogger('opentelemetry.sdk').error('seen')", "ERROR opentelemetry.sdk: seen"),
    "info is not shown": ("logging.getLogger('app').info('seen')", None),
}  # fmt: skip


@pytest.mark.parametrize("way", CONSOLE)
def test_a_warning_is_seen_once_on_the_console(sink: OtlpSink, script: Script, way: str) -> None:
    statement, line = CONSOLE[way]
    ended = script(f"import logging; {statement}", sink.env())
    assert [text for text in ended.stderr.splitlines() if "seen" in text] == ([] if line is None else [line])


def test_the_launcher_is_silent_about_a_missing_stderr(sink: OtlpSink) -> None:
    env = sink.env()
    command = f"exec opentelemetry-instrument {sys.executable} -c 'import logging; logging.warning(1)' 2>&-"
    assert subprocess.run(["sh", "-c", command], env=env, check=False).returncode == 0
