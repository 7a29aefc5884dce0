"""A trained model in a folder: weights and what they are."""
