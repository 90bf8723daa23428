"""Where the ``voicebot`` command begins: light, so that Ctrl-C is understood from the start.

Loading the engines' libraries takes a second or two, in which an interrupt
would otherwise end in a traceback.
"""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends with 130, as shells expect."""
    try:
        from voicebot.cli.main import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
