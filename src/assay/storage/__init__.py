"""Storage: takes records and files, keeps them, and hands data out only by named split.

`database` keeps records (in `record_tables`), `artifacts` keeps directories by content, `ledger` is the hash chain,
`splits` decides who may read what, `permission` leaves out what people did not agree to, `firewall` refuses a scorer on
both sides, `lock` lets one run into a directory, `leases` give an item to so many people and no more (in
`lease_tables`), `levels` keep away what somebody would rather not be given, `sealing` keeps what people wrote under
keys that can be destroyed, `schema` says whether a database may be opened, `migrating` brings an older one here by the
steps in `migrations`, with a copy by `copying`, `dialect` is what SQLite and PostgreSQL do differently,
`statements` runs what is asked of them at every page, `wal`, `readers` and `turns` open and share SQLite, `workspace`
is all of it together in one directory.
"""

from assay.storage.artifacts import ArtifactStore
from assay.storage.database import RecordStore
from assay.storage.firewall import Firewall
from assay.storage.ledger import Ledger
from assay.storage.splits import EvaluationView, SplitName, TrainingView
from assay.storage.workspace import Workspace

__all__ = [
    "ArtifactStore",
    "EvaluationView",
    "Firewall",
    "Ledger",
    "RecordStore",
    "SplitName",
    "TrainingView",
    "Workspace",
]
