"""The three stages of MUG: pretrain (section 3.2), meta (section 3.3), joint (section 3.4)."""
