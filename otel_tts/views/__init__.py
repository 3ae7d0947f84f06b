# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What was read back, drawn: for a terminal, as figures."""
