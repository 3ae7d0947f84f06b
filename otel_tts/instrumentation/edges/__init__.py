# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a request enters the process and its answer leaves it."""
