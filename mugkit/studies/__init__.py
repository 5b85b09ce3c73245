"""Questions that need many runs: each file defines its settings, runs them, and returns its table and its figure."""
