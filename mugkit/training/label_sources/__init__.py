"""Sources of unimodal labels, which can be exchanged while networks and stage 3 stay the same."""
