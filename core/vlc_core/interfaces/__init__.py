"""What plugins implement: one abstract class to a file."""
