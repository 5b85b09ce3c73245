"""From finished runs to tables, figures and their manifest."""
