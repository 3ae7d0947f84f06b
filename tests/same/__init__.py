# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests whose whole telemetry is kept in files: a change that should not change any of it is held against them."""
