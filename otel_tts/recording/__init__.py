# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request's record: what the request path writes, and what it needs for that."""
