"""Figures, a file each or a family of them, from numbers that others computed."""
