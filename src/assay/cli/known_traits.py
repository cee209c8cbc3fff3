"""Known traits: where a command or recipe takes people's traits from: a CSV file, or what they told on the site.

Takes a workspace's records and the choice; yields traits for the aggregation. Only this file brings together what
`feedback` may tell, by consent, and what `preferences` makes of it.
"""

from pathlib import Path

from assay.feedback.group_consent import contributed
from assay.preferences.minority import Traits
from assay.preferences.traits import Declared, read_traits
from assay.storage import RecordStore

DECLARED = "declared"
"""In place of a file: what people told of themselves on the site and agreed to have used."""


def known_traits(records: RecordStore, source: Path) -> Traits | Declared:
    """Traits from a CSV file, or those that were declared. A file of that name is `./declared`.

    Raises InputError for a file that is not one of traits, and where nobody agreed.
    """
    if str(source) != DECLARED:
        return read_traits(source)
    found = contributed(records)
    return Declared(found.values, found.declarations, smallest_group=found.smallest)
