"""Prompts: the demonstration data is complete, distinct and agrees with the gold keys it is scored by."""

import json
import re
import subprocess
import sys
from collections import Counter
from importlib.resources import files
from typing import Any

import pytest

from assay.feedback.prompts import demo_demonstrations, demo_prompts

KINDS = ("explain", "list", "rewrite", "advise", "refuse", "brief")
WORD = re.compile(r"\w+'?\w*")


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def says(said: list[str], phrase: str) -> bool:
    return f" {phrase} " in f" {' '.join(said)} "


@pytest.fixture(scope="module")
def gold() -> list[dict[str, Any]]:
    source = files("assay.evaluation").joinpath("data", "gold_keys.jsonl")
    return [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]


def test_there_are_thirty_two_prompts_of_each_kind() -> None:
    assert Counter(p.kind for p in demo_prompts()) == dict.fromkeys(KINDS, 32)


def test_ids_count_up_within_their_kind() -> None:
    assert [p.id for p in demo_prompts()] == [f"{kind}-{n:02d}" for kind in KINDS for n in range(1, 33)]


def test_no_two_prompts_read_the_same() -> None:
    texts = [" ".join(words(p.text)) for p in demo_prompts()]
    assert len(set(texts)) == len(texts)


def test_prompts_are_six_to_twenty_two_words_of_plain_ascii() -> None:
    faults = [p.id for p in demo_prompts() if not (6 <= len(words(p.text)) <= 22 and p.text.isascii())]
    assert faults == []


def test_demonstrations_answer_the_first_twelve_prompts_of_each_kind() -> None:
    first = [p.text for p in demo_prompts() if int(p.id[-2:]) <= 12]
    assert [text for text, _ in demo_demonstrations()] == first


def test_gold_keys_cover_exactly_the_prompts(gold: list[dict[str, Any]]) -> None:
    assert [(g["id"], g["kind"], g["text"]) for g in gold] == [tuple(p) for p in demo_prompts()]


def test_gold_keys_hold_three_to_six_groups_of_lower_case_words_or_phrases(gold: list[dict[str, Any]]) -> None:
    def is_sound(groups: list[list[str]]) -> bool:
        flat = [word for group in groups for word in group]
        return (
            3 <= len(groups) <= 6
            and all(groups)
            and len(set(flat)) == len(flat)
            and all(" ".join(words(w)) == w for w in flat)
        )

    assert [g["id"] for g in gold if not is_sound(g["keywords"])] == []


def test_gold_windows_are_ordered_and_flags_follow_the_kind(gold: list[dict[str, Any]]) -> None:
    assert [g["id"] for g in gold if not 1 <= g["min_words"] < g["max_words"] <= 45] == []
    assert [g["id"] for g in gold if g["wants_list"] != (g["kind"] == "list")] == []
    assert [g["id"] for g in gold if g["wants_refusal"] != (g["kind"] == "refuse")] == []


def test_every_demonstration_fits_its_window_and_hits_half_its_groups(gold: list[dict[str, Any]]) -> None:
    keys = {g["text"]: g for g in gold}
    faults = []
    for text, completion in demo_demonstrations():
        key, said = keys[text], words(completion)
        hits = sum(any(says(said, phrase) for phrase in group) for group in key["keywords"])
        fits = key["min_words"] <= len(said) <= min(40, key["max_words"])
        if not fits or 2 * hits < len(key["keywords"]):
            faults.append((key["id"], len(said), hits))
    assert faults == []


def test_only_list_demonstrations_are_lists_and_only_refusals_refuse(gold: list[dict[str, Any]]) -> None:
    keys = {g["text"]: g for g in gold}
    for text, completion in demo_demonstrations():
        lines = completion.splitlines()
        is_list = len(lines) >= 3 and all(re.match(r"(\d+\.|-) \S", line) for line in lines)
        assert is_list == keys[text]["wants_list"], text
        assert bool({"can't", "won't"} & set(words(completion)[:3])) == keys[text]["wants_refusal"], text


def test_reading_the_prompts_does_not_load_torch() -> None:
    code = (
        "import sys; from assay.feedback.prompts import demo_prompts; demo_prompts(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
