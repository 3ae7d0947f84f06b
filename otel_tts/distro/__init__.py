# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How otel-tts enters a process and leaves it."""
