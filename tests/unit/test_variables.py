# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from importlib.metadata import requires

import opentelemetry.sdk.environment_variables as upstream
import pytest
from packaging.requirements import Requirement

from otel_tts import variables


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_SPAN_LINK_COUNT_LIMIT": "-1"}, ["traces: OTEL_SPAN_LINK_COUNT_LIMIT=-1"]),
        ({"OTEL_SPAN_LINK_COUNT_LIMIT": "0"}, []),
        ({"OTEL_SPAN_LINK_COUNT_LIMIT": ""}, []),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "7", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "7"}, []),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "7", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8"}, ["MAX_EXPORT_BATCH_SIZE=8"]),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16385"}, ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE=16385"]),
        ({"OTEL_TRACES_SAMPLER": "Always_On"}, []),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, []),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "-1"}, ["0 to 1"]),
        ({"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "anything"}, []),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "inf"}, []),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "nan"}, ["OTEL_METRIC_EXPORT_INTERVAL=nan"]),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "none"}, []),
        ({"OTEL_PROPAGATORS": "tracecontext, baggage"}, []),
        ({"OTEL_PROPAGATORS": "none"}, []),
        (
            {"OTEL_PROPAGATORS": "tracecontext,b3,pigeon"},
            ["pip install opentelemetry-propagator-b3, pigeon: no package brings it", "tracecontext is used"],
        ),
        ({"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "*,otel"}, []),
        (
            {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process, pigeon"},
            ["pigeon: no package brings it", "process is used"],
        ),
        ({"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "pigeon"}, ["otel is used"]),
    ],
)
def test_what_the_sdk_cannot_read_is_said(environ: dict[str, str], said: list[str]) -> None:
    found = "\n".join(map(str, variables.problems(environ)))
    assert all(part in found for part in said), found
    assert bool(found) is bool(said)


def test_it_is_kept_from_the_sdk_and_put_back() -> None:
    wrong = {
        "OTEL_METRICS_EXEMPLAR_FILTER": "",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "soon",
        "OTEL_PROPAGATORS": "baggage,b3",
        "OTEL_SPAN_LINK_COUNT_LIMIT": "",
    }
    environ = dict(wrong)
    with pytest.raises(OSError), variables.set_aside(environ) as problems:
        assert len(problems) == 2
        assert environ == {"OTEL_PROPAGATORS": "baggage", "OTEL_SPAN_LINK_COUNT_LIMIT": ""}
        environ["OTEL_BSP_SCHEDULE_DELAY"] = "lent"
        raise OSError
    assert environ == wrong


def test_every_limit_of_the_sdk_has_a_rule() -> None:
    limits = {getattr(upstream, name) for name in vars(upstream) if name.endswith("_LIMIT")}
    assert limits <= {rule.name for rule in variables.RULES}


@pytest.mark.parametrize("exporter", ["otel_tts_file", "otlp_proto_http", "otlp_proto_grpc"])
def test_an_exporter_of_the_core_that_cannot_be_imported_is_no_misspelling(exporter: str) -> None:
    package = variables.advice(exporter).rpartition("pip install ")[2]

    assert package in {Requirement(line).name for line in requires("otel-tts") or ()}
