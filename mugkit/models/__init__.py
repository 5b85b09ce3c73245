"""The networks of MUG (`mug`, in reading order) and the layers that several systems share."""
