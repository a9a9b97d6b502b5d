"""Ways to judge guessed tokens, a file each."""
