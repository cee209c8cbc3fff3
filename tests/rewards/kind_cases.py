"""Kind cases: people of two groups who say what they like, in which attribute, and what they find harmful, in words.

Completions hold marks: the city likes `Paris`, the village `sleep`; `capital` is detail, `cannot` is harm. So each head
has one word to find.
"""

import numpy as np
from reward_cases import NOW, judgement, prompt_number, text_with

from assay.lm import LoraSettings
from assay.records.judgement import Critique
from assay.records.preference import Preference
from assay.rewards.attributes import AttributeSettings
from assay.rewards.cost import CostSettings
from assay.rewards.groups import GroupSettings
from assay.rewards.kinds import RewardChoice
from assay.rewards.learning import Told
from assay.rewards.tuning.finetune import FinetuneSettings

CITY, VILLAGE = "place: city", "place: village"
TUNED = FinetuneSettings(
    per_device_train_batch_size=8,
    lora=LoraSettings(r=2, alpha=4, targets=("q_proj",), top_layers=1),
    learning_rate=3e-3,
    head_learning_rate=1e-2,
    max_steps=3,
)
CHOICE = RewardChoice(
    directions=8,
    attributes=AttributeSettings(names=("usefulness", "detail"), directions=8),
    groups=GroupSettings(shrinkage=2.0, directions=8, combination="mean"),
    cost=CostSettings(directions=8),
    tuned=TUNED,
)


def told(*, prompts=16, pairs=4, with_views=True):
    """Preferences of the majority for `Paris` over `sleep`, and one judgement behind each."""
    rng = np.random.default_rng(0)
    preferences, judgements = [], []
    for number in range(prompts * pairs):
        prompt = prompt_number(number // pairs)
        detail, harm = number % 2 == 0, number % 4 == 1
        chosen = text_with(["Paris"] * 3 + ["capital"] * 3 * detail, rng)
        rejected = text_with(["sleep"] * 3 + ["capital"] * 3 * (not detail) + ["cannot"] * 3 * harm, rng)
        marks = [Critique(completion="second", text="cannot", category="harmful")] if harm else []
        marks += [Critique(completion="first", text="Paris", category="good")] if number == 0 else []
        said = judgement(NOW, prompt, chosen, rejected, "first", occurrence=number).model_copy(
            update={
                "attributes": {"usefulness": "first", "detail": "first" if detail else "second"},
                "critiques": tuple(marks),
            }
        )
        judgements.append(said)
        views = {"everyone": 0.7, CITY: 0.9, VILLAGE: 0.1} if with_views else None
        preferences.append(
            Preference(
                created_at=NOW,
                prompt=prompt,
                chosen=chosen,
                rejected=rejected,
                margin=1.0,
                standard_error=0.5,
                probability=0.8,
                judgements=(said.id,),
                annotators=("ann",),
                aggregation="a",
                by_group=views,
            )
        )
    return Told(preferences, judgements)
