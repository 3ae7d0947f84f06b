# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What `otel-tts report` is made of: a month's figures, what they advise, and how they are put on a page."""
