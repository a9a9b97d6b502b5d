"""Our own forward passes over a cache that rewinds, checkpoint loading, and the tokenizer beside it."""
