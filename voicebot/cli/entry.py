"""Where the ``voicebot`` command begins: light, so that Ctrl-C is understood from the start.

Loading the engines' libraries takes a second or two.  An interrupt in that time
would end in a traceback, or in whatever a library makes of an exception in the
middle of its import; as there is nothing yet to be closed, it ends at once.
"""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130
"""Exit code by shell convention: 128 + SIGINT."""


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def main() -> None:
    """Run the command line; Ctrl-C ends with 130, as shells expect."""
    before = signal.signal(signal.SIGINT, _leave)
    from voicebot.cli.main import main as command

    signal.signal(signal.SIGINT, before)
    try:
        command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
