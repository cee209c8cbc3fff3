"""Lm: room under construction."""
