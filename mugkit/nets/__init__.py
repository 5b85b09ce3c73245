"""The networks of MUG: one file per box of Fig. 3."""
