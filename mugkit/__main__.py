"""`python -m mugkit` is the command line."""

from mugkit.cli import app

app()
