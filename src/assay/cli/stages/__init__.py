"""Stages: the steps of the walk, one file a step, in order.

`collect` (samples, judgements, preferences), `learn` (rewards), `tune` (policies), `judge` (evidence), `release`
(approvals), `serve` (gateway, alarm, roll-back), `plan` (which of them a recipe runs).
"""
