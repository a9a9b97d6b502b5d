"""draftwise and its peers on a CPU, side by side: `python -m benchmarks.peers`."""
