"""What a run's records say: pure functions from records to figures with intervals."""
