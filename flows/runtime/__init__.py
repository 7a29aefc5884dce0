"""What every stage needs while it runs."""
