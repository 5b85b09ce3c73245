"""The batch: every notebook through papermill, what they need computed before, and the report of what was found."""
