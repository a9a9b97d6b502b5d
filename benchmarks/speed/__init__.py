"""The regression guard: each speed as a ratio to a reference measured in turns with it, held against a baseline."""
