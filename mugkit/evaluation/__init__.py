"""Evaluation: comparing two systems, the rule for verdicts, tables, and the quality of labels and representations."""
