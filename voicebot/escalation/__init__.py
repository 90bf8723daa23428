"""From anger logits to evidence, states, alerts and actions."""
