"""Asterisk: AudioSocket, and its REST interface."""
