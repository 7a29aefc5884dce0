"""Whether a stage's work is done already, and what an evaluation is about."""
