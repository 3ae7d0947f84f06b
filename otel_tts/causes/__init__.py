# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why a request was slow or failed: its own facts, the stage at fault, and what such requests share."""
