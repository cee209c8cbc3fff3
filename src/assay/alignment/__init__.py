"""Alignment: room under construction."""
