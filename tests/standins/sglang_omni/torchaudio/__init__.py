# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Imported by SGLang-Omni and used for other formats than are tried here."""
