"""The systems that the paper compares with, one file a paper, each written from its paper."""
