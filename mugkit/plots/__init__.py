"""Figures from numbers that other modules computed; each file draws one figure or a family."""
