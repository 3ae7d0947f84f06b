# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Named by SGLang-Omni in annotations; what is of torch nobody has here."""


class Tensor:
    pass
