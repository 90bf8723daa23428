"""Audio in: levels, G.711, files and sound devices."""
