"""From frames to utterances, and from utterances to words."""
