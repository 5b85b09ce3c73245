"""Batch reproduction: computes what the notebooks need, runs them with papermill, and writes a report."""
