"""From sample numbers to batches: order, decoding, choice of view and text, workers.

Everything here is a pure function of (seed, sample number), so a run reads the same batches whatever its
ranks and worker processes, and its position in the data is one integer.
"""
