# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a call of an engine is: an entry, a seam, a load, a mark, a job, a lock."""
