"""Trained models as bundles, and applying them to images."""
