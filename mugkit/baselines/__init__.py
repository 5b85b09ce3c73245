"""The systems that the paper compares with, one file per paper, each written from its paper."""
