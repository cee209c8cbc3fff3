"""Deployment: room under construction."""
