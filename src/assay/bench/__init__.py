"""Bench: room under construction."""
