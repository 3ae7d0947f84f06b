# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Grafana dashboards, built in Python by `python -m dashboards.build`, their provisioning, and alert rules."""
