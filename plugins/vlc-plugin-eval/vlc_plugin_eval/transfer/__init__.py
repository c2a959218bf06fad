"""Classification transfer: small labelled tasks, by a linear classifier on frozen features and by fine-tuning."""
