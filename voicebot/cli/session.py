"""Feeding one source into one call, and its blocks and events to whoever watches."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from voicebot.audio.source import AudioSource
from voicebot.call import Call
from voicebot.cli.interrupt import Interrupt
from voicebot.errors import AudioError, DeviceError
from voicebot.events import Event, Frame, Leg


class Watcher(Protocol):
    """Somebody who sees a call go by: a live view, a picture, a file of events."""

    def block(self, block: Mapping[Leg, Frame]) -> None:
        """One block of audio, before it is processed."""

    def event(self, event: Event) -> None:
        """One event."""


def follow(
    source: AudioSource,
    call: Call,
    watchers: list[Watcher],
    interrupt: Interrupt,
    *,
    realtime: bool = False,
    seconds: float | None = None,
) -> None:
    """Run a call to its end.

    Args:
        source: Where the audio comes from.
        call: The call; its events go to ``watchers`` through the engine.
        watchers: See the blocks.
        interrupt: Active; Ctrl-C ends the call cleanly with reason ``interrupted``.
        realtime: Hold blocks back so that audio passes at the speed of time.
        seconds: Stop after so much audio; None for all of it.

    Raises:
        AudioError: the audio broke off; the call is closed first (``audio_error``).
        DeviceError: the device was lost; the call is closed first (``device_lost``).
    """
    blocks = source.blocks()
    reason, whole = "end_of_audio", True
    began = time.monotonic()
    call.start()
    try:
        while True:
            with interrupt.waiting():
                block = next(blocks, None)
            if block is None:
                break
            for watcher in watchers:
                watcher.block(block)
            whole = False
            call.push(block)
            whole = True
            end = max(frame.end for frame in block.values())
            if seconds is not None and end >= seconds - 1e-9:
                break
            if realtime:
                with interrupt.waiting():
                    time.sleep(max(0.0, began + end - time.monotonic()))
    except KeyboardInterrupt:
        reason = "interrupted"
    except (AudioError, DeviceError) as err:
        call.end("device_lost" if isinstance(err, DeviceError) else "audio_error")
        raise
    except BaseException:
        call.abandon()
        raise
    with interrupt.shielded():
        call.end(reason, finish=whole)
