# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Alert rules: `python -m dashboards.build` writes alerts/tts.yml and the runbook's pages from them."""

from __future__ import annotations

from dashboards.rules import audio, devices, pipeline, requests

GROUPS = (requests.GROUP, audio.GROUP, devices.GROUP, pipeline.GROUP)
ALERTS = tuple(alert for group in GROUPS for alert in group.alerts)

HEAD = """Copyright The otel-tts Authors
SPDX-License-Identifier: Apache-2.0

Written by `python -m dashboards.build` from dashboards/rules; limits are in dashboards/thresholds.py."""
