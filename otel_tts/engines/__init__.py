# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The speech engines that are known: a table each, one file an engine. `table` is the form, `known` the list."""
