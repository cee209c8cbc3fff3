"""Deployment: takes an approved decision, yields a gateway, a staged rollout, live signals and new feedback.

Read in this order: `layers/` (the rules between people and the model), `releases` (what is served as one unit),
`pointer` and `rollout` (who is served what; only a decision in the ledger raises exposure), `flags` and `switch` (the
kill switch), `live` (alarms, which only lower exposure), `intake` (feedback with consent), `gateway/` (the
OpenAI-compatible server). Only `gateway/engine.py` needs torch.
"""

from assay.deployment.flags import flag_client, may_serve_candidate, set_candidate_switch
from assay.deployment.intake import CONSENT_VERSION, load_seal
from assay.deployment.layers import LayerStack, load_layers
from assay.deployment.live import DEFAULT_RATES, LiveWatch, RateSettings, calibrated
from assay.deployment.releases import make_release
from assay.deployment.rollout import Change, Rollout, release_for
from assay.deployment.switch import switch_off, switch_on

__all__ = [
    "CONSENT_VERSION",
    "Change",
    "DEFAULT_RATES",
    "LayerStack",
    "LiveWatch",
    "RateSettings",
    "Rollout",
    "calibrated",
    "flag_client",
    "load_layers",
    "load_seal",
    "make_release",
    "may_serve_candidate",
    "release_for",
    "set_candidate_switch",
    "switch_off",
    "switch_on",
]
