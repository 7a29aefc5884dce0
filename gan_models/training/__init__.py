"""Training: the loop, batches, checkpoints, EMA and health. Run it with `python -m gan_models.training`."""
