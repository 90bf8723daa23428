"""How the bundled demo calls are made: voices, prosody, the telephone line."""
