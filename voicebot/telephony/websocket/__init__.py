"""Media forks over WebSocket."""
