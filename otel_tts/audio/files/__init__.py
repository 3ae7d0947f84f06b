# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Audio in files: what a header says, what decoding finds, and whether both agree. Nothing here needs a decoder."""
