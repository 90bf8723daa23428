"""The coder of a mobile line: GSM 06.10 full rate, 13 kbit/s.

It works in blocks of 20 ms without look-ahead, so what comes out is in time
with what goes in.  (Opus at 6 to 10 kbit/s would do as well, but libsndfile
takes 60 ms for three seconds of it, six times as long.)

Source: ETSI EN 300 961, "Full rate speech; Transcoding" (GSM 06.10), as
implemented by libgsm inside libsndfile.
"""

from __future__ import annotations

import io

import soundfile

from voicebot.emotion.frames import RATE
from voicebot.events import Pcm


def through_gsm(pcm: Pcm) -> Pcm:
    """Encode and decode with GSM 06.10.

    Args:
        pcm: Mono at 8 kHz.

    Returns:
        As many samples, in time with the input.
    """
    if not len(pcm):
        return pcm
    coded = io.BytesIO()
    # Without a header: in WAV, two frames share a block and the last is read past its end.
    soundfile.write(coded, pcm, RATE, format="RAW", subtype="GSM610")
    coded.seek(0)
    heard, _ = soundfile.read(
        coded, dtype="int16", samplerate=RATE, channels=1, format="RAW", subtype="GSM610"
    )
    out: Pcm = heard[: len(pcm)]  # the last block is filled up with silence
    return out
