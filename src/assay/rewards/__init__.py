"""Rewards: room under construction."""
