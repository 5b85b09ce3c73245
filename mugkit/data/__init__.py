"""Data: the schema, the on-disk store, readers of published file formats, and the default data set `reviews`."""
