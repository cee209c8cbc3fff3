"""Kinds: what a recipe may ask of a reward beside an ensemble, each kind with settings of its own."""

from assay.records.record import Value
from assay.records.reward import RewardKind
from assay.rewards.attributes import AttributeSettings
from assay.rewards.cost import CostSettings
from assay.rewards.groups import GroupSettings
from assay.rewards.settings import RewardSettings
from assay.rewards.tuning.finetune import FinetuneSettings


class RewardChoice(RewardSettings):
    """A reward of any kind: the settings of an ensemble, and those of each other kind under its name."""

    kind: RewardKind = "ensemble"
    """What the reward is made of: ensemble, attributes, groups, cost or tuned."""
    attributes: AttributeSettings = AttributeSettings()
    """Heads a named attribute, and what each counts for."""
    groups: GroupSettings = GroupSettings()
    """Heads a group of people that differs, and whose word counts."""
    cost: CostSettings = CostSettings()
    """One head whose zero parts what is allowed from what is not."""
    tuned: FinetuneSettings = FinetuneSettings()
    """A language model's own weights."""

    @property
    def of_kind(self) -> Value:
        """The settings that the chosen kind goes by."""
        if self.kind == "ensemble":
            return RewardSettings(**{name: getattr(self, name) for name in RewardSettings.model_fields})
        return {"attributes": self.attributes, "groups": self.groups, "cost": self.cost, "tuned": self.tuned}[self.kind]
