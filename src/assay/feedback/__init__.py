"""Feedback: room under construction."""
