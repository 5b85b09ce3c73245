"""Data: the schema, the on-disk store, readers of other people's files, and the embedded default."""
