"""Marking angry stretches in recorded calls, by hand and by several people."""
