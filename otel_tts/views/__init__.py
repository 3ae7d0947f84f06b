# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Drawing: what was read back, for people at a terminal or in a browser."""
