"""Putting load on a daemon, and measuring what it costs."""
