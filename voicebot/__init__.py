"""voicebot listens to a phone call and knows when the caller is losing patience."""

__version__ = "0.1.0"
