"""Questions that take many runs: each file names its settings, runs them and returns its table and its figure."""
