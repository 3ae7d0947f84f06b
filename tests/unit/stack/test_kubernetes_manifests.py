# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The manifests: by the schemas of Kubernetes (offline), and by what they say of one another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from otel_tts.stack import places, servers

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = {"collector": places.configurations(), "service": ROOT / "examples" / "kubernetes"}
OLDEST, NEWEST = "1.31", "1.37"


def documents(folder: Path) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would apply of the folder, before names and namespaces are changed."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    return [
        one for name in kustomization["resources"] for one in yaml.safe_load_all((folder / name).read_text("utf-8"))
    ]


EVERY = [
    pytest.param(one, id=f"{one['kind']}-{one['metadata']['name']}") for f in FOLDERS.values() for one in documents(f)
]


def of_kind(*kinds: str) -> Iterator[dict[str, Any]]:
    return (one for folder in FOLDERS.values() for one in documents(folder) if one["kind"] in kinds)


def pods() -> Iterator[dict[str, Any]]:
    return (one["spec"]["template"]["spec"] for one in of_kind("Deployment", "DaemonSet", "StatefulSet"))


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container["env"]}


def named(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in of_kind(kind) if one["metadata"]["name"] == name)


@pytest.mark.parametrize("document", EVERY)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_it_is_by_the_schema(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_what_is_not_by_the_schema_is_told() -> None:
    """So that the test above means something."""
    wrong = named("DaemonSet", "otelcol-agent")
    wrong["spec"]["template"]["spec"]["tolerations"] = "nvidia.com/gpu"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_images_are_pinned_and_the_collector_is_the_stacks() -> None:
    images = {container["image"] for pod in pods() for container in pod["containers"]}
    assert images == {servers.BY_NAME[servers.COLLECTOR].image, "tts"}
    service = yaml.safe_load((FOLDERS["service"] / "kustomization.yaml").read_text(encoding="utf-8"))
    assert [one["name"] for one in service["images"] if one["newTag"] not in ("", "latest")] == ["tts"]
    base, installed = re.findall(r"^FROM (\S+)|pip install --no-cache-dir (.*==.*)$", dockerfile(), re.MULTILINE)
    assert re.fullmatch(r"python:\d+[.]\d+[.]\d+-slim-\w+", base[0])
    assert all("==" in one for one in installed[1].split())


def dockerfile() -> str:
    return (FOLDERS["service"] / "Dockerfile").read_text(encoding="utf-8")


def test_every_container_has_bounds_probes_and_no_rights() -> None:
    for pod in pods():
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert container.keys() >= {"startupProbe", "readinessProbe", "livenessProbe"}
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}


def test_the_collector_refuses_before_its_container_is_killed() -> None:
    for kind, name in (("DaemonSet", "otelcol-agent"), ("StatefulSet", "otelcol-gateway")):
        (container,) = named(kind, name)["spec"]["template"]["spec"]["containers"]
        given = environment(container)
        limit = container["resources"]["limits"]["memory"]
        mebibytes = int(limit[:-2]) * {"Gi": 1024, "Mi": 1}[limit[-2:]]
        assert int(given["GOMEMLIMIT"].removesuffix("MiB")) < int(given["STACK_MEMORY_MIB"]) < mebibytes


def test_agents_know_every_gateway() -> None:
    gateways = named("StatefulSet", "otelcol-gateway")["spec"]
    (container,) = named("DaemonSet", "otelcol-agent")["spec"]["template"]["spec"]["containers"]
    domain = f"{gateways['serviceName']}.tts-telemetry.svc:4317"
    expected = [f"otelcol-gateway-{number}.{domain}" for number in range(gateways["replicas"])]
    assert yaml.safe_load(environment(container)["STACK_GATEWAYS"]) == expected


def test_what_is_mounted_and_named_is_there() -> None:
    kustomization = yaml.safe_load((FOLDERS["collector"] / "kustomization.yaml").read_text(encoding="utf-8"))
    (generated,) = kustomization["configMapGenerator"]
    assert all((FOLDERS["collector"] / file).is_file() for file in generated["files"])
    mounted = {f"/etc/otel-tts/{Path(file).name}" for file in generated["files"]}
    for pod in pods():
        volumes = {one["name"] for one in pod["volumes"]} | {"state"}
        for container in pod["containers"]:
            assert {one["name"] for one in container["volumeMounts"]} <= volumes
            asked = {one.removeprefix("--config=") for one in container.get("args", ())}
            assert asked <= mounted


def test_every_policy_and_service_finds_pods() -> None:
    pod_labels = [
        o["spec"]["template"]["metadata"]["labels"] for o in of_kind("Deployment", "DaemonSet", "StatefulSet")
    ]
    selected = [one["spec"]["podSelector"].get("matchLabels", {}) for one in of_kind("NetworkPolicy")]
    selected += [one["spec"]["selector"] for one in of_kind("Service")]
    selected += [one["spec"]["selector"]["matchLabels"] for one in of_kind("PodDisruptionBudget")]
    assert [labels for labels in selected if not any(labels.items() <= found.items() for found in pod_labels)] == []


def test_the_secrets_that_are_needed_are_said() -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    asked = {volume["secret"]["secretName"] for pod in pods() for volume in pod["volumes"] if "secret" in volume}
    keys = [
        one.get("valueFrom", {}).get("secretKeyRef") for pod in pods() for c in pod["containers"] for one in c["env"]
    ]
    asked |= {one["name"] for one in keys if one}
    assert asked == {"otelcol-agent-token", "otelcol-gateway-tokens", "otelcol-gateway-tls", "tts"}
    assert all(f"secret generic {name} " in text for name in asked)


def test_values_of_charts_are_yaml() -> None:
    files = sorted((FOLDERS["collector"] / "kubernetes" / "values").glob("*.yaml"))
    assert [file.stem for file in files] == ["loki", "mimir-distributed", "prometheus", "tempo-distributed"]
    assert all(isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict) for file in files)


def test_the_charts_prometheus_promotes_what_the_stacks_does() -> None:
    folder = FOLDERS["collector"]
    values = yaml.safe_load((folder / "kubernetes" / "values" / "prometheus.yaml").read_text(encoding="utf-8"))
    stack = yaml.safe_load((folder / "compose" / "prometheus.yml").read_text(encoding="utf-8"))
    assert values["server"]["otlp"] == stack["otlp"]
