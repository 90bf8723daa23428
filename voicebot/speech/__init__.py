"""From audio to words: voice activity, endpointing, recognisers."""
