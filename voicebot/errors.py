"""Errors that a user can act on.

Every error says what is wrong (naming the file, key, device or peer) and how
to mend it.  The command line prints both and never a traceback; code that
catches one may read :attr:`VoicebotError.mend` on its own.
"""

from __future__ import annotations


class VoicebotError(Exception):
    """A fault with a known cause.

    Args:
        what: What is wrong, naming the file, key, device or peer.
        mend: What the reader can do about it; may be empty.

    Example:
        >>> str(VoicebotError("a.wav: empty file", "record it again"))
        'a.wav: empty file (record it again)'
    """

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what} ({mend})" if mend else what)
        self.what = what
        self.mend = mend


class ConfigError(VoicebotError):
    """A configuration file, key or environment override is wrong."""


class AudioError(VoicebotError):
    """An audio file or stream cannot be read as what it claims to be."""


class DeviceError(VoicebotError):
    """A sound device is missing, busy or was unplugged."""


class LabelError(VoicebotError):
    """Labels of a call are missing, malformed or contradict each other."""


class ModelError(VoicebotError):
    """A model is missing, incomplete, of the wrong kind or fails its checksum."""


class DownloadError(ModelError):
    """A model could not be fetched: connection, size, checksum or archive."""


class OutputError(VoicebotError):
    """Events, plots or reports cannot be written (full disk, no permission)."""


class DeliveryError(VoicebotError):
    """An outward action could not be delivered to its peer."""
