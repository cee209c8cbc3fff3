"""Governance: room under construction."""
