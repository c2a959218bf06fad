"""What is in a dataset: pure functions from samples to facts, from facts to figures, and from figures to words."""
