# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations


class MaskedDiffWithXvec:
    def inference(self, token, embedding, finalize):
        return token / 256, None


class CausalMaskedDiffWithXvec:
    def inference(self, token, embedding, finalize):
        return token / 256, None


class CausalMaskedDiffWithDiT:
    def inference(self, token, embedding, finalize):
        return token / 256, None
