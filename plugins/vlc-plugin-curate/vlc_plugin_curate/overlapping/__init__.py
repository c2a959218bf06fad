"""Which images of evaluation sets a model was trained on, and what that does to its accuracy."""
