"""Monitors: room under construction."""
