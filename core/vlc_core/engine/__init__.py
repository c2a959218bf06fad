"""DeepSpeed set-up, launch, loop, schedule, metrics, checkpoints. DeepSpeed is imported nowhere else."""
