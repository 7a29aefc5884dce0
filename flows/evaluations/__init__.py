"""What is made of an evaluation: verdicts, comparison, the report in MLflow, the model card."""
