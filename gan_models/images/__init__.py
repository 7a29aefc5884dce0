"""Images on their way into models: augmentation, degradations, randomness, pixels."""
