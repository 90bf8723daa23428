"""Whole calls with the truth known: assembled, heard once, replayed with any setting."""
