# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What every store has to do, asked of each alike: files, real servers, and servers that behave as documented."""
