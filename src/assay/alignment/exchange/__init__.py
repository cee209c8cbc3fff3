"""Exchange: runs that come from other trainers' configurations, and runs that go out to other trainers.

`trl_config` reads a configuration of TRL's, its keys in `trl_keys`; `export` writes a `job` for TRL, verl or OpenRLHF,
one module each (`trl_launch`, `verl_launch`, `openrlhf_launch`), the data in `rows`.
"""

from assay.alignment.exchange.export import MODEL, bundle_for, write_bundle
from assay.alignment.exchange.job import Bundle, Job, ServedReward
from assay.alignment.exchange.rows import Peer
from assay.alignment.exchange.trl_config import METHOD_OF, TrlReading, read_trl, trainer_named
from assay.alignment.exchange.trl_keys import TRAINERS, Trainer

__all__ = [
    "METHOD_OF",
    "MODEL",
    "TRAINERS",
    "Bundle",
    "Job",
    "Peer",
    "ServedReward",
    "Trainer",
    "TrlReading",
    "bundle_for",
    "read_trl",
    "trainer_named",
    "write_bundle",
]
