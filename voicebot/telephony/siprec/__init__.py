"""Recording sessions: who is who, and a leg for each."""
