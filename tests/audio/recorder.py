"""Record from a sound device and say how it ended, as JSON lines; run by test_devices.py.

Arguments: backend, rate, seconds, where to write the samples.  The patience with a device comes as
``lost=SECONDS``.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from voicebot.audio.devices import open_device
from voicebot.errors import DeviceError
from voicebot.events import Leg, Pcm


def main() -> None:
    backend, rate, seconds, out = sys.argv[1:5]
    extra = {k: float(v) for k, v in (arg.split("=") for arg in sys.argv[5:])}
    say(state="starting")
    pieces: list[Pcm] = []
    starts: list[float] = []
    warnings: list[str] = []
    reason = "end"
    try:
        with open_device(
            rate=int(rate),
            backend=backend,
            lost_seconds=extra.get("lost", 5.0),
        ) as source:
            for block in source.blocks():
                frame = block[Leg.CALLER]
                if not pieces:
                    say(state="hearing", name=source.name)
                pieces.append(frame.pcm)
                starts.append(frame.start)
                if frame.end >= float(seconds):
                    break
            warnings = source.warnings
    except DeviceError as err:
        reason = str(err)
    np.save(out, np.concatenate(pieces) if pieces else np.empty(0, np.int16))
    say(state="ended", reason=reason, starts=starts, warnings=warnings)


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
