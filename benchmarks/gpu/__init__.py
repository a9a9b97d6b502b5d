"""Everything that is to be known of a GPU, in one call: `benchmarks/gpu/run.sh`."""
