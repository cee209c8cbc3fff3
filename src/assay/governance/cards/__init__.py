"""Cards: takes the records of a policy, yields Markdown that says what it is, what it learnt from and what judged it.

`model_card`, `data_card` and `reward_card` each turn records into text with a template of `templates/`; `rendering`
refuses a card with a gap in it; `writing` finds the records of one policy and writes its cards.
"""

from assay.governance.cards.data_card import data_card
from assay.governance.cards.model_card import model_card
from assay.governance.cards.rendering import refuse_placeholders
from assay.governance.cards.reward_card import reward_card
from assay.governance.cards.writing import write_cards

__all__ = ["data_card", "model_card", "refuse_placeholders", "reward_card", "write_cards"]
