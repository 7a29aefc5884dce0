"""Losses, on logits, images and features."""
