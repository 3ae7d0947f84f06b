# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.bench.peers``: make the environments of what the bench compares otel-tts with."""

from __future__ import annotations

import argparse
import subprocess
import sys

from tests.bench.peers.environments import NAMES, make


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; all where none is named")
    options = parser.parse_args()
    if unknown := set(options.name) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    failed: list[str] = []
    for name in options.name or NAMES:
        print(f"peers-{name}: ", end="", flush=True)
        try:
            print("installed" if make(name) else "is there")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):  # uv has said why
            print("could not be installed")
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
