"""Rules: rewards written down instead of learnt: named checks of a completion, each made of plain settings.

Takes texts, yields a share in [0, 1] a rule (1 where it is kept in full), and their weighted mean or the worst of them.
A rule is exact and free, and as blind as it is written: an optimiser will satisfy the letter. Each says what it catches
and what it misses; weigh rules beside a learnt reward, and let probes watch what else moves.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, NoReturn, Protocol, Self, get_args

import numpy as np
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from assay.records.conversation import Prompt
from assay.records.errors import ConfigError, explain
from assay.records.identity import ScorerIdentity
from assay.records.record import Value, digest
from assay.rewards.protocol import Texts
from assay.rewards.scores import RewardScores, by_parts

Combination = Literal["mean", "worst"]

_LIST_LINE = re.compile(r"\s*(?:[-*•]|\d+[.)])\s+\S")
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
_ENDINGS = (".", "!", "?", "…", "。", "！", "？")
_CLOSERS = "\"'”’)]*_`"


class Rule(Protocol):
    """A check of one completion. `catches` and `misses` say in a few words what it sees and what it does not."""

    name: ClassVar[str]
    catches: ClassVar[str]
    misses: ClassVar[str]

    def kept(self, prompt: Prompt, completion: str) -> float:
        """How far the rule is kept, from 0 to 1."""
        ...

    def model_dump(self, *, mode: Literal["json"]) -> dict[str, Any]:
        """The settings as plain data; with the name they are the rule's identity."""
        ...


def _not_blank(phrases: tuple[str, ...]) -> tuple[str, ...]:
    if not phrases or any(not phrase.strip() for phrase in phrases):
        raise ValueError("expected at least one phrase and none blank")
    return phrases


Phrases = Annotated[tuple[str, ...], AfterValidator(_not_blank)]


class WordWindow(Value):
    """Between `fewest` and `most` words; outside, the share falls in proportion to the lack or the excess."""

    name: ClassVar[str] = "word_window"
    catches: ClassVar[str] = "answers that are too short or too long"
    misses: ClassVar[str] = "padding inside the window"
    fewest: int = Field(default=0, ge=0)
    """Fewest words."""
    most: int = Field(ge=1)
    """Most words."""

    @model_validator(mode="after")
    def _is_a_window(self) -> Self:
        if self.fewest > self.most:
            raise ValueError(f"expected fewest <= most; got {self.fewest} > {self.most}")
        return self

    def kept(self, prompt: Prompt, completion: str) -> float:
        """1 inside; words / fewest below; most / words above."""
        return _share_of_window(len(completion.split()), self.fewest, self.most)


class ListForm(Value):
    """Between `fewest` and `most` lines that are list items (`-`, `*`, `•`, `1.`, `1)`)."""

    name: ClassVar[str] = "list_form"
    catches: ClassVar[str] = "prose where steps were asked for, or endless lists"
    misses: ClassVar[str] = "items that say nothing or the same"
    fewest: int = Field(default=2, ge=0)
    """Fewest items; 0 with `most` 0 forbids lists."""
    most: int = Field(default=10, ge=0)
    """Most items."""

    @model_validator(mode="after")
    def _is_a_window(self) -> Self:
        if self.fewest > self.most:
            raise ValueError(f"expected fewest <= most; got {self.fewest} > {self.most}")
        return self

    def kept(self, prompt: Prompt, completion: str) -> float:
        """1 inside; items / fewest below; most / items above."""
        items = sum(_LIST_LINE.match(line) is not None for line in completion.splitlines())
        return _share_of_window(items, self.fewest, self.most)


class RequiredPhrases(Value):
    """Each phrase occurs, compared without case and as whole words."""

    name: ClassVar[str] = "required_phrases"
    catches: ClassVar[str] = "a notice, name or fact that must be there and is not"
    misses: ClassVar[str] = "the phrase denied, quoted, or put where it means nothing"
    phrases: Phrases
    """Phrases that must occur."""

    def kept(self, prompt: Prompt, completion: str) -> float:
        """Share of the phrases that occur."""
        return float(np.mean([_occurrences(phrase, completion) > 0 for phrase in self.phrases]))


class ForbiddenPhrases(Value):
    """No phrase occurs, compared without case and as whole words."""

    name: ClassVar[str] = "forbidden_phrases"
    catches: ClassVar[str] = "wording that must not appear, such as flattery or stock refusals"
    misses: ClassVar[str] = "the same meaning in other words, other letters or with signs between"
    phrases: Phrases
    """Phrases that must not occur."""

    def kept(self, prompt: Prompt, completion: str) -> float:
        """1 / (1 + occurrences)."""
        return 1 / (1 + sum(_occurrences(phrase, completion) for phrase in self.phrases))


class Pattern(Value):
    """A regular expression is found, or is not. The pattern is the operator's own: nested repeats may run long."""

    name: ClassVar[str] = "pattern"
    catches: ClassVar[str] = "any form that a regular expression can tell"
    misses: ClassVar[str] = "whether what has the right form is right"
    pattern: str
    """Python's syntax, searched anywhere; anchor it with \\A and \\Z to match the whole."""
    is_wanted: bool = True
    """Whether the pattern must be found, or must not."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"expected a regular expression; got {value!r}: {error}") from error
        return value

    def kept(self, prompt: Prompt, completion: str) -> float:
        """1 or 0."""
        return float((re.search(self.pattern, completion) is not None) == self.is_wanted)


class ValidJson(Value):
    """The whole completion is JSON (RFC 8259: no NaN), and with `keys` an object that has them."""

    name: ClassVar[str] = "valid_json"
    catches: ClassVar[str] = "broken or wrapped JSON, and missing keys"
    misses: ClassVar[str] = "wrong values, wrong types, extra keys"
    keys: tuple[str, ...] = ()
    """Keys of the outermost object."""
    may_be_fenced: bool = False
    """Whether a Markdown code fence around it is allowed."""

    def kept(self, prompt: Prompt, completion: str) -> float:
        """0 where it does not parse; else the share of keys found, 1 without any."""
        fenced = _FENCE.fullmatch(completion) if self.may_be_fenced else None
        try:
            value = json.loads(fenced.group(1) if fenced else completion, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return 0.0
        if not self.keys:
            return 1.0
        return float(np.mean([key in value for key in self.keys])) if isinstance(value, dict) else 0.0


class NoRepetition(Value):
    """No run of `n` words comes twice, without case."""

    name: ClassVar[str] = "no_repetition"
    catches: ClassVar[str] = "loops and copied sentences"
    misses: ClassVar[str] = "the same thought in other words, one text for every prompt"
    n: int = Field(default=4, ge=1)
    """Words in a run."""

    def kept(self, prompt: Prompt, completion: str) -> float:
        """Distinct runs / all runs; 1 where the text is shorter than a run."""
        words = completion.lower().split()
        runs = [tuple(words[i : i + self.n]) for i in range(len(words) - self.n + 1)]
        return len(set(runs)) / len(runs) if runs else 1.0


class EndsSentence(Value):
    """The text ends as a sentence does, closing quotes, brackets and emphasis aside."""

    name: ClassVar[str] = "ends_sentence"
    catches: ClassVar[str] = "answers cut off by a token limit"
    misses: ClassVar[str] = "a full stop after half a thought; lists, code and verse, which rightly end otherwise"

    def kept(self, prompt: Prompt, completion: str) -> float:
        """1 or 0."""
        return float(completion.rstrip().rstrip(_CLOSERS).endswith(_ENDINGS))


RULES: Mapping[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        WordWindow,
        ListForm,
        RequiredPhrases,
        ForbiddenPhrases,
        Pattern,
        ValidJson,
        NoRepetition,
        EndsSentence,
    )
}
"""The named rules; a project may hand `build_rules` a mapping of its own beside these."""


class RuleReward(NamedTuple):
    """Rules, their weights [k], and whether they add up or the worst of them counts."""

    rules: tuple[Rule, ...]
    weights: np.ndarray
    combination: Combination = "mean"

    def score_texts(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> RewardScores:
        """Reward in [0, 1]: weighted mean, or the least, of the rules' shares; `members` are the shares."""
        texts = list(zip(prompts, completions, strict=True))
        shares = np.array([[rule.kept(*text) for rule in self.rules] for text in texts], dtype=float)
        shares = shares.reshape(len(texts), len(self.rules))
        mean = shares @ (self.weights / self.weights.sum())
        return by_parts(mean if self.combination == "mean" else shares.min(1, initial=1.0), shares, ceiling=1.0)

    def score_on(self, texts: Texts) -> RewardScores:
        """The same of texts that others look at too."""
        return self.score_texts(texts.prompts, texts.completions)

    def identity(self, name: str) -> ScorerIdentity:
        """What the firewall compares: the rules' names, settings and weights."""
        plain = [[r.name, r.model_dump(mode="json"), w] for r, w in zip(self.rules, self.weights, strict=True)]
        content = digest({"rules": plain, "combination": self.combination})
        return ScorerIdentity(name=name, scorer_kind="rule", content_hash=content)


def build_rules(
    plain: Sequence[Mapping[str, Any]], *, combination: str = "mean", registry: Mapping[str, type[Rule]] = RULES
) -> RuleReward:
    """Rules from plain data: `rule` names one, `weight` (default 1) weighs it, the rest are its settings.

    Raises ConfigError that lists every fault of every rule.
    """
    faults: list[str] = []
    rules: list[Rule] = []
    weights: list[float] = []
    if not plain:
        faults.append("expected at least one rule; got none")
    if combination not in get_args(Combination):
        faults.append(f"combination: expected one of {', '.join(get_args(Combination))}; got {combination!r}")
    for place, described in enumerate(plain, 1):
        settings = {key: value for key, value in described.items() if key not in ("rule", "weight")}
        kind = registry.get(str(described.get("rule")))
        weight = described.get("weight", 1.0)
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < float("inf"):
            faults.append(f"rule {place}: expected a weight above 0; got {weight!r}")
        if kind is None:
            faults.append(f"rule {place}: expected one of {', '.join(sorted(registry))}; got {described.get('rule')!r}")
            continue
        try:
            rules.append(kind(**settings))
            weights.append(weight)
        except ValidationError as error:
            faults += [f"rule {place}, {_place(fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    if faults:
        do = "mend these lines:\n" + "\n".join(f"  {fault}" for fault in faults)
        raise ConfigError(explain(expected="rules with their settings", got=f"{len(faults)} faults", do=do))
    return RuleReward(tuple(rules), np.array(weights, dtype=float), "worst" if combination == "worst" else "mean")


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "settings"


def _share_of_window(count: int, fewest: int, most: int) -> float:
    if count < fewest:
        return count / fewest
    return 1.0 if count <= most else most / count


def _occurrences(phrase: str, text: str) -> int:
    """How often a phrase stands in a text as whole words, without case, any white space between its words."""
    words = r"\s+".join(re.escape(word) for word in phrase.casefold().split())
    return len(re.findall(rf"(?<!\w){words}(?!\w)", text.casefold()))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
