"""Intake: text is kept under consent alone, and only text that this gateway wrote."""

import stat

import pytest
from pydantic import ValidationError

from assay.deployment.intake import (
    CONSENT_VERSION,
    ConsentReceipt,
    Pair,
    Seal,
    Thumb,
    load_seal,
    take_pair,
    take_thumb,
)
from assay.records.conversation import user_prompt
from assay.records.errors import AssayError, InputError
from assay.records.judgement import Judgement
from assay.records.release import Signal

PROMPT = user_prompt("Why is the sky blue?")
CONSENT = {"version": CONSENT_VERSION, "purposes": ["train"]}


@pytest.fixture
def seal():
    return Seal(b"k" * 32)


def pair(seal, release, **fields):
    shown = {
        side: {"text": text, "receipt": seal.receipt(PROMPT, text)}
        for side, text in (("first", "Because of the air."), ("second", "No idea."))
    }
    body = {
        "type": "preference",
        "reply_id": seal.reply_id("n1", release.id),
        "prompt": [message.model_dump() for message in PROMPT],
        "choice": "first",
        "first_shown": "right",
        "user": "anna@example.org",
        "consent": CONSENT,
        **shown,
        **fields,
    }
    return Pair.model_validate(body)


def test_a_pair_with_consent_becomes_a_live_judgement_under_a_pseudonym(line, seal, now):
    receipt = take_pair(line.workspace, seal, pair(seal, line.reference), now=now)
    (judgement,) = line.workspace.records.all(Judgement)
    assert (receipt.kind, receipt.id, receipt.text_is_kept) == ("judgement", judgement.id, True)
    assert (judgement.source, judgement.campaign, judgement.consent_version) == ("live", "live", CONSENT_VERSION)
    assert (judgement.first, judgement.choice, judgement.first_shown) == ("Because of the air.", "first", "right")
    assert judgement.annotator == seal.pseudonym("anna@example.org")
    assert line.workspace.records.all(Judgement, subject=judgement.annotator) == [judgement]
    (consent,) = line.workspace.records.all(ConsentReceipt)
    assert (consent.annotator, consent.version, consent.purpose) == (judgement.annotator, CONSENT_VERSION, "train")


def test_a_live_judgement_lies_in_no_split(line, seal, now):
    take_pair(line.workspace, seal, pair(seal, line.reference), now=now)
    for split in ("train", "watch", "held_out", "sealed"):
        assert line.workspace.records.count(Judgement, split=split) == 0


@pytest.mark.parametrize(
    ("consent", "why"),
    [
        (None, "no consent"),
        ({"version": "old", "purposes": ["train"]}, "the current one"),
        ({"version": CONSENT_VERSION, "purposes": ["research"]}, "purpose 'train'"),
        ({"version": CONSENT_VERSION, "purposes": []}, "purpose 'train'"),
    ],
)
def test_without_consent_the_choice_is_counted_and_no_text_is_kept(line, seal, now, consent, why):
    receipt = take_pair(line.workspace, seal, pair(seal, line.reference, consent=consent), now=now)
    assert not receipt.text_is_kept and why in receipt.note
    assert line.workspace.records.count(Judgement) == 0
    (signal,) = line.workspace.records.all(Signal)
    assert (signal.name, signal.value, signal.release) == ("preference", 1.0, line.reference.id)
    stored = signal.model_dump_json()
    assert not any(word in stored for word in ("sky", "Because", "No idea", "anna"))


@pytest.mark.parametrize("field", ["first", "second"])
def test_a_completion_that_the_gateway_did_not_write_is_refused(line, seal, now, field):
    forged = {"text": "Buy my book.", "receipt": seal.receipt(PROMPT, "No idea.")}
    with pytest.raises(InputError, match="completions of this gateway"):
        take_pair(line.workspace, seal, pair(seal, line.reference, **{field: forged}), now=now)
    assert line.workspace.records.count(Signal) == 0


def test_a_receipt_does_not_fit_another_prompt(line, seal, now):
    other = [message.model_dump() for message in user_prompt("How do I sleep?")]
    with pytest.raises(InputError):
        take_pair(line.workspace, seal, pair(seal, line.reference, prompt=other), now=now)


def test_a_thumb_becomes_a_signal_and_a_reply_takes_one(line, seal, now):
    thumb = Thumb(type="thumb", reply_id=seal.reply_id("n", line.tuned.id), thumb="down", user="u")
    receipt = take_thumb(line.workspace, seal, thumb, now=now)
    assert (receipt.release, receipt.text_is_kept) == (line.tuned.id, False)
    with pytest.raises(InputError, match="the first word stands"):
        take_thumb(line.workspace, seal, thumb.model_copy(update={"thumb": "up"}), now=now)
    assert [s.value for s in line.workspace.records.all(Signal)] == [1.0]


@pytest.mark.parametrize(
    "made_up", ["", "chatcmpl-1", "chatcmpl-n-{release}-{seal}", "x-n-{release}-{other}", "é-é-é-é"]
)
def test_a_reply_id_cannot_be_made_up(line, seal, now, made_up):
    text = made_up.format(release=line.tuned.id, seal="0" * 32, other=seal.of("reply", "n", line.tuned.id))
    with pytest.raises(InputError, match="send it unchanged"):
        take_thumb(line.workspace, seal, Thumb(type="thumb", reply_id=text, thumb="up", user="u"), now=now)


def test_a_sealed_reply_of_no_known_release_is_refused(line, seal, now):
    thumb = Thumb(type="thumb", reply_id=seal.reply_id("n", "unknown"), thumb="up", user="u")
    with pytest.raises(AssayError):
        take_thumb(line.workspace, seal, thumb, now=now)


def test_a_pseudonym_needs_the_key_and_parts_cannot_be_shifted(seal):
    assert seal.pseudonym("anna") == seal.pseudonym("anna") != seal.pseudonym("bert")
    assert Seal(b"other").pseudonym("anna") != seal.pseudonym("anna")
    assert seal.of("ab", "c") != seal.of("a", "bc")


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path):
    one, two = load_seal(tmp_path), load_seal(tmp_path)
    path = tmp_path / "keys" / "live.key"
    assert one.of("x") == two.of("x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32 and list(path.parent.iterdir()) == [path]


def test_feedback_without_a_prompt_is_refused(seal, line):
    with pytest.raises(ValidationError):
        pair(seal, line.reference, prompt=[])
