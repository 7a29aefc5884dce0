"""Generators and discriminators, one architecture per file."""
