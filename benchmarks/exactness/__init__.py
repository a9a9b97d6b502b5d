"""Whether lossless means identical here: `sps` against `as`, id by id, over prompts, drafts, widths and batches."""
