"""Cards: written from records, without a gap, honest where a fact does not exist, and plain about simulation."""

from pathlib import Path

import pytest
from governance_cases import (
    LATER,
    NOW,
    PROVENANCE,
    REWARD,
    Office,
    a_policy,
    some_evidence,
)
from huggingface_hub import ModelCard
from jinja2 import UndefinedError

from assay.governance import standings, write_cards
from assay.governance.cards import data_card, model_card, refuse_placeholders, reward_card
from assay.governance.cards.rendering import render
from assay.records.conversation import user_prompt
from assay.records.errors import GovernanceError, StorageError
from assay.records.evidence import Curve, CurvePoint, Evidence
from assay.records.identity import ScorerIdentity
from assay.records.judgement import Judgement
from assay.records.observation import Alarm
from assay.records.policy import CheckpointRecord, PolicyVersion
from assay.records.preference import AggregationReport, AnnotatorProfile, Preference
from assay.records.reward import ReliabilityBin, RewardPart, RewardQuality, RewardVersion

QUALITY = RewardQuality(
    pairs=80,
    accuracy=0.7125,
    nll=0.583,
    ece=0.021,
    ece_before=0.094,
    temperature=1.31,
    reliability=(ReliabilityBin(predicted=0.65, observed=0.61, count=40),),
    length_correlation=0.37,
)
PROFILES = tuple(
    AnnotatorProfile(annotator=name, judgements=5, reliability=value, side_bias=0.0, agreement=0.8)
    for name, value in (("secret-name-1", 0.75), ("secret-name-2", 1.25))
)


def a_reward(**changes: object) -> RewardVersion:
    fields: dict[str, object] = {
        "name": "helpful",
        "artifact": "1" * 64,
        "backbone": "smollm2",
        "layer": 20,
        "members": 2,
        "feature_maps": ("last", "mean"),
        "aggregation": "mean_minus_std",
        "quality": QUALITY,
        "member_accuracy": (0.70, 0.72),
        "identity": REWARD,
        "training_pairs": 300,
        "provenance": PROVENANCE,
        "created_at": NOW,
    }
    return RewardVersion.model_validate({**fields, **changes})


def an_alarm() -> Alarm:
    return Alarm(
        monitor="length drift",
        step=40,
        message="completions doubled | <b>fast</b>",
        action="stop",
        value=2.1,
        threshold=1.5,
        created_at=NOW,
    )


def a_curve(policy: PolicyVersion, *, gold: float | None) -> Curve:
    point = CurvePoint(step=30, sqrt_kl=2.345, proxy=1.2, gold=gold, length=80.0)
    later = CurvePoint(step=40, sqrt_kl=9.9, proxy=2.0, gold=gold, length=160.0)
    kept = None if gold is None else 0.9
    return Curve(policy=policy.id, name="main", points=(point, later), stop_step=30, gold_at_stop=gold, kept=kept)


def a_judgement(**changes: object) -> Judgement:
    fields: dict[str, object] = {
        "campaign": "pilot",
        "annotator": "secret-name-1",
        "prompt": user_prompt("hello"),
        "first": "a",
        "second": "b",
        "choice": "first",
        "first_shown": "left",
        "created_at": NOW,
    }
    return Judgement.model_validate({**fields, **changes})


def an_aggregation(**changes: object) -> AggregationReport:
    fields: dict[str, object] = {
        "method": "bradley_terry",
        "judgement_set": "s",
        "split": "train",
        "judgements": 10,
        "pairs": 6,
        "ties": 1,
        "alpha": 0.41,
        "converged": True,
        "gradient_norm": 1e-8,
        "annotators": PROFILES,
        "created_at": NOW,
    }
    return AggregationReport.model_validate({**fields, **changes})


def fill(office: Office, *, is_simulated: bool = True, gold: float | None = 1.1) -> PolicyVersion:
    """Records of a whole project behind one policy that an alarm rang on."""
    policy = a_policy(name="watched", alarms=(an_alarm(),), monitors=("length drift",), step=30, steps_run=40)
    evidence = some_evidence(
        policy, is_simulated=is_simulated, curves=(a_curve(policy, gold=gold),), reason="the panel prefers it."
    )
    aggregation = an_aggregation()
    preference = Preference(
        prompt=user_prompt("hello"),
        chosen="a",
        rejected="b",
        margin=1.0,
        standard_error=0.1,
        probability=0.7,
        judgements=("j1", "j9"),
        annotators=("secret-name-1",),
        aggregation=aggregation.id,
        created_at=NOW,
    )
    records = office.workspace.records
    records.put_all([(one, None, None) for one in (policy, evidence, aggregation, preference, a_reward())])
    records.put(a_judgement(source="simulated" if is_simulated else "assay"), split="train")
    records.put(a_judgement(choice="tie", annotator="secret-name-2"), split="held_out")
    office.policy, office.evidence = policy, evidence
    return policy


def written(office: Office, directory: Path) -> dict[str, str]:
    paths = write_cards(office.workspace, office.policy.id, directory=directory, now=LATER)
    return {path.name: path.read_text() for path in paths}


def test_three_cards_are_written_from_the_records_without_a_gap(office: Office, tmp_path: Path) -> None:
    fill(office)
    cards = written(office, tmp_path / "cards")
    assert sorted(cards) == ["data_card.md", "model_card.md", "reward_card.md"]
    for text in cards.values():
        assert refuse_placeholders(text) == text
        assert "None" not in text
        assert "secret-name" not in text


def test_the_model_card_has_front_matter_that_hubs_read(office: Office, tmp_path: Path) -> None:
    fill(office)
    card = ModelCard(written(office, tmp_path / "cards")["model_card.md"])
    assert card.data.base_model == "smollm2"
    assert card.data.library_name == "peft"
    assert "preference-tuning" in card.data.tags
    [result] = card.data.eval_results
    assert (result.metric_value, result.dataset_args) == (0.65, {"n": 200})
    assert "simulated" in result.dataset_name


def test_the_model_card_tells_the_release_with_its_ledger_entries(office: Office, tmp_path: Path) -> None:
    text = written(office, tmp_path / "a")["model_card.md"]
    assert "**Not released.**" in text
    assert "Nobody has asked for its release." in text
    decision = office.release()
    text = written(office, tmp_path / "b")["model_card.md"]
    assert "**Released.**" in text
    assert "- anna approved it (ledger entry 5)" in text
    assert f"Decision `{decision.short_id}`: **approved** (ledger entry 7)" in text
    assert "| verdict | verdict | SHIP: the panel prefers it | SHIP | yes |" in text


def test_a_policy_that_later_evidence_speaks_against_is_no_longer_called_released(
    office: Office, tmp_path: Path
) -> None:
    office.release()
    office.workspace.records.put(some_evidence(office.policy, verdict="HOLD", reason="not sure"))
    assert "**Not released.**" in written(office, tmp_path / "a")["model_card.md"]


def test_a_simulated_panel_is_named_on_every_card(office: Office, tmp_path: Path) -> None:
    fill(office, is_simulated=True)
    for text in written(office, tmp_path / "cards").values():
        assert "panel is simulated" in text


def test_a_panel_of_people_is_not_called_simulated(office: Office, tmp_path: Path) -> None:
    fill(office, is_simulated=False)
    for text in written(office, tmp_path / "cards").values():
        assert "simulated" not in text


def test_the_reward_card_states_quality_exploits_and_range(office: Office, tmp_path: Path) -> None:
    fill(office)
    text = written(office, tmp_path / "cards")["reward_card.md"]
    for part in (
        "- 2 members on layer 20 of `smollm2`; their scores are joined by `mean_minus_std`",
        "- feature maps: last, mean",
        "- fitted on 300 pairs from 2 judgements",
        "added up by `bradley_terry`",
        "| accuracy | 0.7125 |",
        "| NLL, nats | 0.583 |",
        "| calibration error (ECE) before temperature scaling | 0.094 |",
        "| calibration error (ECE) after | 0.021 |",
        "| correlation with the number of characters | 0.37 |",
        "| 0.65 | 0.61 | 40 |",
        "Members one by one: 0.7, 0.72.",
        "- watched, step 40, length drift: completions doubled \\| &lt;b>fast&lt;/b> (value 2.1, threshold 1.5)",
        "It has been followed up to sqrt(KL) 2.345; beyond that nothing is known.",
        "| watched | main | 30 | 2.345 | 1.2 | 1.1 |",
        f"data `{'d' * 12}`",
    ):
        assert part in text


def test_where_there_is_no_gold_the_cards_say_so(office: Office, tmp_path: Path) -> None:
    fill(office, gold=None)
    cards = written(office, tmp_path / "cards")
    assert "There is no gold here" in cards["reward_card.md"]
    assert "| no gold on this data |" in cards["reward_card.md"]
    assert "There is no gold on this data" in cards["model_card.md"]


def test_a_reward_that_nobody_followed_has_unknown_exploits_and_no_range() -> None:
    text = reward_card(a_reward(feature_maps=()), policies=[], evidence={}, aggregation=None, now=NOW)
    assert "its exploits are unknown" in text
    assert "treat every use as outside its range" in text
    assert "no aggregation report" in text
    quiet = reward_card(a_reward(), policies=[a_policy()], evidence={}, aggregation=None, now=NOW)
    assert "No alarm rang on the 1 policies trained on it; that is no proof" in quiet


def test_a_reward_fitted_on_simulated_judgements_says_so_without_any_evidence(office: Office, tmp_path: Path) -> None:
    judgement = a_judgement(source="simulated")
    identity = REWARD.model_copy(update={"rows": (judgement.id,)})
    office.workspace.records.put_all([(judgement, "train", None), (a_reward(identity=identity), None, None)])
    assert "panel is simulated" in written(office, tmp_path / "cards")["reward_card.md"]


def test_diagnostics_of_the_chosen_checkpoint_are_drawn_as_diagnostics() -> None:
    seen = [CheckpointRecord(step=n, adapter=None, observation={"step": n, "values": {"kl": n / 3}}) for n in (1, 2)]
    policy = a_policy(step=1, checkpoints=tuple(seen))
    text = model_card(policy, None, release=None, is_released=False, now=NOW)
    assert "(diagnostics, never conditions for a release)" in text
    assert "| kl | 0.3333 |" in text
    assert "0.6667" not in text


def test_terms_that_were_optimised_together_stand_on_the_reward_card() -> None:
    rule = ScorerIdentity(name="no begging", scorer_kind="rule", content_hash="4" * 64)
    policy = a_policy(training_signals=(REWARD, rule))
    text = reward_card(a_reward(), policies=[policy], evidence={}, aggregation=None, now=NOW)
    assert "| helpful | reward_model | aaaaaaaaaaaa | 2 | nothing that was trained before |" in text
    assert "| no begging | rule | 444444444444 | 0 | nothing that was trained before |" in text


def test_a_policy_without_anything_gets_a_card_of_sentences() -> None:
    bare = a_policy(adapter=None, training_signals=(), method="reference")
    text = model_card(bare, None, release=None, is_released=False, now=NOW)
    for part in (
        "It has no adapter",
        "No reward, rule or judge trained it.",
        "No monitor watched this run.",
        "No reason for its end was recorded.",
        "It has not been evaluated",
    ):
        assert part in text


def test_a_policy_without_a_learnt_reward_gets_no_reward_card(office: Office, tmp_path: Path) -> None:
    assert sorted(written(office, tmp_path / "cards")) == ["data_card.md", "model_card.md"]


def test_the_data_card_counts_and_names_nobody(office: Office, tmp_path: Path) -> None:
    fill(office)
    text = written(office, tmp_path / "cards")["data_card.md"]
    for part in (
        "2 judgements by 2 annotators on 1 prompts",
        "| simulated | 1 |",
        "| pilot | 2 |",
        "| tie | 1 |",
        "| none recorded | 2 |",
        "| train | 1 |",
        "| held_out | 1 |",
        "| no split | 0 |",
        "fitted on 2 of them",
        "Krippendorff's alpha is 0.41.",
        "Reliability of the 2 annotators runs from 0.75 to 1.25",
    ):
        assert part in text


def test_the_data_card_says_when_agreement_or_data_are_missing() -> None:
    nothing = {"judgements": [], "split_counts": {}, "now": NOW}
    text = data_card(a_policy(), None, aggregations=[], **nothing)
    assert "There are no judgements in this project." in text
    assert "No judgements have been added up to preferences." in text
    lone = an_aggregation(alpha=None, converged=False, annotators=())
    text = data_card(a_policy(), None, aggregations=[lone], **nothing)
    assert "agreement between annotators could not be measured" in text
    assert "**did not converge**" in text


@pytest.mark.parametrize(
    "gap",
    [
        "More Information Needed",
        "[More information needed]",
        "[TODO: describe]",
        "todo",
        "TBD",
        "N/A",
        "n/a",
        "{{ model }}",
        "{% if %}",
        "FIXME",
        "Lorem ipsum",
        "[insert name]",
        "XXX",
        "[...]",
        "a placeholder",
    ],
)
def test_a_placeholder_is_refused_with_its_line(gap: str) -> None:
    with pytest.raises(GovernanceError, match="line 2: "):
        refuse_placeholders(f"all is well\nbut {gap} here")


def test_ordinary_text_is_not_taken_for_a_placeholder() -> None:
    text = "A method to do it; tbdx, xx, Canada/America, todos, {one} [1] 100% {ok}"
    assert refuse_placeholders(text) == text


def test_a_fact_that_is_not_there_is_an_error_and_no_card_is_written(office: Office, tmp_path: Path) -> None:
    with pytest.raises(GovernanceError, match="without gaps") as caught:
        render("reward_card.md", {"reward": a_reward()})
    assert isinstance(caught.value.__cause__, UndefinedError)
    with pytest.raises(GovernanceError, match="got nan"):
        data_card(
            a_policy(), None, judgements=[], split_counts={}, aggregations=[an_aggregation(alpha=float("nan"))], now=NOW
        )
    broken = a_policy(name="TODO")
    office.workspace.records.put(broken)
    with pytest.raises(GovernanceError, match="TODO"):
        write_cards(office.workspace, broken.id, directory=tmp_path / "cards", now=NOW)
    assert not (tmp_path / "cards").exists()


def test_text_from_records_cannot_break_a_table_or_act_as_markup() -> None:
    policy = a_policy(stop_reason="a | b\n# heading <script>alert(1)</script> `x` [link](http://x)")
    text = model_card(policy, None, release=None, is_released=False, now=NOW)
    assert "a \\| b # heading &lt;script>alert(1)&lt;/script> 'x' \\[link](http://x)." in text


def test_a_card_shows_what_does_not_verify(office: Office) -> None:
    office.release()
    [found] = standings(office.workspace)
    found = found._replace(faults=("the signature of 'anna' does not verify",))
    text = model_card(office.policy, office.evidence, release=found, is_released=False, now=NOW)
    assert "**The history does not verify:** the signature of 'anna' does not verify." in text


def test_cards_of_an_unknown_policy_are_refused(office: Office, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="one policy"):
        write_cards(office.workspace, "f" * 64, directory=tmp_path, now=NOW)
    assert office.workspace.records.count(Evidence) == 1


def test_the_heads_of_a_reward_of_named_parts_stand_on_its_card_with_what_each_is_worth() -> None:
    parts = (RewardPart(name="everyone", rows=48, accuracy=0.75), RewardPart(name="detail", rows=7, weight=0.5))
    named = a_reward(made_of="groups", parts=parts)
    text = reward_card(named, policies=[], evidence={}, aggregation=None, now=NOW)
    assert "- made of: groups\n- everyone: 48 rows, accuracy 0.75\n- detail: 7 rows, weight 0.5\n" in text
    assert "- made of: ensemble\n" in reward_card(a_reward(), policies=[], evidence={}, aggregation=None, now=NOW)
