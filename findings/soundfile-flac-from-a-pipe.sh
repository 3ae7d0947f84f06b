#!/usr/bin/env bash
# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
#
# soundfile 0.13.1 (libsndfile 1.2.2) and FLAC that was written to a pipe (here by PyAV 16.0.1).
#
# An encoder that cannot go back to the header leaves the number of samples in STREAMINFO at 0, which the format defines
# as "unknown"; ffmpeg, PyAV and every service that streams FLAC write such files, and players play them to the end.
# soundfile reports 2**63 - 1 frames for them. soundfile.read(file) then fails before it has read anything ("array is too
# big"), and whoever reads in blocks loses the last one: libsndfile has read it, but soundfile moves the read position
# behind it with a seek that libsndfile refuses at the end of such a stream, and raises with the samples already in the
# buffer. Of 3.0 s read half a second at a time 2.5 s are returned. PyAV decodes all 72000 samples of the same bytes.
#
# Seen: frames=9223372036854775807 read=ValueError blocks=60000 then=LibsndfileError filled=12000 decoded=72000
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

RATE, BLOCK = 24000, 12000
SOUND = (np.sin(np.arange(3 * RATE) / 9) * 16000).astype(np.int16)


class Pipe:
    """Only forward, as standard output and a response are."""

    def __init__(self):
        self.parts = []

    def write(self, data):
        self.parts.append(bytes(data))
        return len(data)


with av.open(pipe := Pipe(), "w", format="flac") as out:
    stream = out.add_stream("flac", rate=RATE, layout="mono")
    frame = av.AudioFrame.from_ndarray(SOUND.reshape(1, -1), format="s16", layout="mono")
    frame.rate = RATE
    out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
data = b"".join(pipe.parts)
assert data[:4] == b"fLaC" and int.from_bytes(data[18:26], "big") & (1 << 36) - 1 == 0, "the length is unknown"

with av.open(io.BytesIO(data)) as source:
    decoded = sum(frame.samples for frame in source.decode(audio=0))
with soundfile.SoundFile(io.BytesIO(data)) as file:
    frames = file.frames
try:
    soundfile.read(io.BytesIO(data))
    whole = "fine"
except Exception as error:
    whole = type(error).__name__
blocks, then, filled = 0, "the end", 0
with soundfile.SoundFile(io.BytesIO(data)) as file:
    while True:
        buffer = np.full(BLOCK, -2, np.float64)
        try:
            read = len(file.read(out=buffer))
        except Exception as error:
            then, filled = type(error).__name__, int((buffer != -2).sum())
            break
        if not read:
            break
        blocks += read
seen = f"frames={frames} read={whole} blocks={blocks} then={then} filled={filled} decoded={decoded}"
print(soundfile.__libsndfile_version__, "Seen:", seen)
expected = "frames=9223372036854775807 read=ValueError blocks=60000 then=LibsndfileError filled=12000 decoded=72000"
sys.exit(seen != expected)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
