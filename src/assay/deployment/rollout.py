"""Rollout: under construction."""
