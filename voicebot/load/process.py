"""The callers in a process of their own, so that their cost is not the daemon's.

Reads orders as JSON lines from standard input and answers each call with a line::

    {"do": "call", "seconds": 20.0, "called": "load", "count": 50, "over": 2.0}
    {"status": 200, "packets": 1000, "ended_by_peer": false}

and ends with its input, after the calls that run.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import structlog

from voicebot.audio.files import open_file
from voicebot.audio.pcm import resample
from voicebot.load.caller import Callers, Speech
from voicebot.telephony.sip.sip_params import parse_listen


def read_speech(path: Path) -> Speech:
    """What is said in the caller's leg of a file.

    Raises:
        AudioError: it cannot be read.
    """
    with open_file(str(path)) as source:
        leg = source.legs[0]
        pcm = np.concatenate([block[leg].pcm for block in source.blocks()])
        return Speech(resample(pcm, source.rate, 8000))


async def work(target: str, path: Path) -> None:
    """Take orders until there are no more."""
    callers = Callers(parse_listen(target), read_speech(path))
    await callers.start()
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    async def one(order: dict[str, object], after: float) -> None:
        await asyncio.sleep(after)
        outcome = await callers.call(float(str(order["seconds"])), str(order.get("called", "load")))
        print(json.dumps(asdict(outcome) | {"late": callers.late}), flush=True)  # noqa: T201

    print(json.dumps({"ready": True}), flush=True)  # noqa: T201
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        count, over = int(order.get("count", 1)), float(order.get("over", 0.0))
        for number in range(count):
            task = loop.create_task(one(order, over * number / count))
            running.add(task)
            task.add_done_callback(running.discard)
    if running:
        await asyncio.wait(running)
    await callers.close()


if __name__ == "__main__":
    # Standard output is for outcomes alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(work(sys.argv[1], Path(sys.argv[2])))
