"""``python -m voicebot``: the same as the ``voicebot`` command."""

from voicebot.cli.entry import main

if __name__ == "__main__":
    main()
