# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The sections of a report, one a file, each with a `write`."""
