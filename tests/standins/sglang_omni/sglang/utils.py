# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class LazyImport:
    def __init__(self, module, name):
        self.module, self.name = module, name
