"""What numbers say: the one comparison, the one rule of verdicts, tables, and how good labels and spaces are."""
