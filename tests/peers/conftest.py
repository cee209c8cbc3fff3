"""Peers: TRL and its hub library stay offline and report nothing home; this stands before any of them is imported."""

import os

os.environ |= {
    "TRL_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}
