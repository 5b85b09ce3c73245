"""Where unimodal labels come from: a part that can be swapped while networks and stage 3 stay the same."""
