"""One round of speculative decoding: its types, its maths and the only generation loop."""
