# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.same`` says which scenes differ from their files; ``--write`` renews the files.

Names of scenes do that for them only.
"""

from __future__ import annotations

import sys

from tests.same import files


def main(arguments: list[str]) -> int:
    write = "--write" in arguments
    names = [name for name in arguments if name != "--write"]
    if unknown := [name for name in names if name not in files.SCENES]:
        print(f"no scene {', '.join(unknown)}; there are {', '.join(files.SCENES)}", file=sys.stderr)
        return 2
    changed = {name: text for name, text in files.play(names).items() if text != files.read(name)}
    for name, text in changed.items():
        print(f"{name}: written" if write else files.difference(name, text))
        if write:
            files.path(name).write_text(text, encoding="utf-8")
    return 0 if write else bool(changed)


sys.exit(main(sys.argv[1:]))
