"""Many live calls in one process: taking them in, hearing them, handing them over."""
