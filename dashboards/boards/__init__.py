# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The boards, one module each: what each panel asks and what it means, in English and in Chinese."""

from __future__ import annotations

from dashboards.boards import audio, devices, request, service, stages, telemetry

BOARDS = (service.BOARD, stages.BOARD, audio.BOARD, devices.BOARD, request.BOARD, telemetry.BOARD)
"""From the most asked to the least."""
