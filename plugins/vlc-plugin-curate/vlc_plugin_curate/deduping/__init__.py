"""Which images of sources are copies of others, which of them are kept, and the list of those."""
