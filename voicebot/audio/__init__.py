"""Audio in: PCM arithmetic, G.711, files and standard input, sound devices."""
