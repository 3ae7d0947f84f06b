#!/usr/bin/env bash
# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
#
# soundfile 0.13.1 (libsndfile 1.2.2) and chained Ogg: several logical streams one after the other in one file.
#
# RFC 3533 allows chaining, RFC 7845 says how a player takes the links of Opus; a service that encodes each sentence for
# itself and sends the results in a row makes such a file, and players play all of it. soundfile reports and reads the
# first link only, for Opus and for Vorbis, whole or in blocks, without an error or a warning: of 1.0 + 0.5 + 2.0 s it
# returns 1.0 s, whatever follows. PyAV decodes all links of the same bytes.
#
# Seen: OPUS frames=24000 read=24000 of 84000; VORBIS frames=24000 read=24000 of 84000; PyAV reads at least 3.5 s of both
#
# Exits with 0 while that is so, with 1 once it has changed, with 2 where the packages cannot be had.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.13.1 av==16.0.1 'numpy>=2,<3' || exit 2
cat > "$folder/try.py" <<'PYTHON'
import io
import sys

import av
import numpy as np
import soundfile

RATE, SECONDS = 24000, (1.0, 0.5, 2.0)


def sentence(subtype, seconds):
    sound = np.sin(np.arange(int(RATE * seconds)) / 9) / 2
    soundfile.write(encoded := io.BytesIO(), sound, RATE, format="OGG", subtype=subtype)
    return encoded.getvalue()


def read_in_blocks(data):
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        total = 0
        while len(block := file.read(6000)):
            total += len(block)
        return file.frames, total


as_seen = True
for subtype in ("OPUS", "VORBIS"):
    data = b"".join(sentence(subtype, seconds) for seconds in SECONDS)
    frames, read = read_in_blocks(data)
    whole = len(soundfile.read(io.BytesIO(data))[0])
    with av.open(io.BytesIO(data)) as source:
        stream = source.streams.audio[0]
        played = sum(frame.samples for frame in source.decode(stream)) / stream.rate
    print(f"{subtype} frames={frames} read={read} whole={whole} of {int(RATE * sum(SECONDS))}; PyAV plays {played:.2f} s")
    as_seen = as_seen and (frames, read, whole) == (RATE, RATE, RATE) and played >= sum(SECONDS)
print("libsndfile", soundfile.__libsndfile_version__)
sys.exit(not as_seen)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
