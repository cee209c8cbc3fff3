"""Evaluation: room under construction."""
