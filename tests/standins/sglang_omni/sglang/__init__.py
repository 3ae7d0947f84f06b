# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Of sglang the one name that SGLang-Omni's front end takes."""
