"""Ways to guess tokens, a file each."""
