"""The stages of MUG, pretrain (section 3.2), meta (3.3) and joint (3.4), and the sources of unimodal labels."""
