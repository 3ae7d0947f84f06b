# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A package, since some environment has one of this name too."""
