"""Preferences: room under construction."""
