"""From a stretch of caller speech to a calibrated anger logit."""
