# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What otel-tts costs, measured. A package: its requests.py must not be found in place of the library."""
