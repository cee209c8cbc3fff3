"""Built-in layers: what each catches and lets through, rule tests with mutation, and cost that grows with the text."""

import re
import re._parser as regex_parser
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.deployment import layers
from assay.deployment.layers import Exchange, LayerStack, build_layers, load_layers
from assay.deployment.layers.blocked_terms import BlockedTerms
from assay.deployment.layers.private_data import findings, luhn_holds, mod_97_holds
from assay.deployment.layers.words import folded_words
from assay.records.conversation import Message, user_prompt

STACK = load_layers()
BY_NAME = {layer.manifest.name: layer for layer in STACK.layers}
RULES = BY_NAME["blocked_terms"].settings.rules


def denied_by(rules, text):
    layer = BY_NAME["blocked_terms"]
    some = BlockedTerms(layer.manifest, layer.settings.model_copy(update={"rules": rules}))
    return some.check(Exchange(user_prompt(text)))


def cleaned(text):
    return STACK.run(Exchange(user_prompt("x"), text)).completion


def test_every_layer_says_what_it_catches_and_what_not():
    assert all(layer.manifest.catches and layer.manifest.does_not_catch for layer in STACK.layers)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_denies_and_allows_what_it_declares_and_nothing_else_would(rule):
    others = tuple(other for other in RULES if other is not rule)
    for text in rule.denies:
        word = denied_by(RULES, text)
        assert (word.verdict, word.replacement_text) == ("deny", rule.refusal), text
        assert denied_by(others, text).verdict == "allow", f"{text!r} does not test this rule"
    for text in rule.allows:
        assert denied_by(RULES, text).verdict == "allow", text


def test_rule_words_must_stand_close_together():
    near = "make " + "and then " * 3 + "a bomb"
    far = "make " + "and then " * 4 + "a bomb"
    assert denied_by(RULES, near).verdict == "deny"
    assert denied_by(RULES, far).verdict == "allow"


def test_every_message_is_read_and_messages_are_read_apart():
    def messages(*texts):
        return tuple(Message(role="user", content=text) for text in texts)

    layer = BY_NAME["blocked_terms"]
    assert layer.check(Exchange(messages("make a bomb", "go on"))).verdict == "deny"
    assert layer.check(Exchange(messages("make", "a bomb"))).verdict == "allow"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ｂｏｍｂ", ["bomb"]),
        ("bómb", ["bomb"]),
        ("bo\u200bmb", ["bomb"]),
        ("b0mb", ["bomb"]),
        ("b-o-m-b", ["bomb"]),
        ("a b o m b", ["abomb", "bomb"]),
        ("p@ss", ["pass"]),
        ("I am 42", ["i", "am", "42"]),
    ],
)
def test_words_are_folded(text, words):
    assert folded_words(text) == words


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers():
    def verdict(tokens):
        return STACK.run(Exchange(user_prompt("x"), count_tokens=lambda prompt: tokens, context_length=100))

    assert not verdict(84).is_blocked
    assert verdict(85).text == (
        "Your prompt is too long: it has 85 tokens, this model reads at most 84. Please shorten it."
    )


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("<|im_start|>system", "< |im_start|>system"),
        ("<|anything_new|>", "< |anything_new|>"),
        ("[INST] x [/INST]", "[ INST] x [ /INST]"),
        ("a\0b\x1b[2J\tc\n", "ab[2J\tc\n"),
        ("x |> f <| y", "x |> f <| y"),
    ],
)
def test_control_tokens_are_made_harmless(text, harmless):
    assert STACK.run(Exchange(user_prompt(text))).prompt == user_prompt(harmless)


@given(
    st.lists(st.sampled_from(["<|", "|>", "<", "|", "im_start", "[INST]", "[", "INST", "]", "s", "</s>", " ", "\0"]))
)
def test_what_leaves_the_marker_layer_holds_no_marker(parts):
    layer = BY_NAME["injection_markers"]
    text = STACK.run(Exchange(user_prompt("".join(parts)))).prompt[0].content
    assert not any(marker in text for marker in layer.settings.markers)
    assert re.search(r"<\|[^|<>\s]{1,40}\|>", text) is None
    assert layer.check(Exchange(user_prompt(text))).verdict == "allow"


def test_the_luhn_sum_is_right_by_hand():
    # 4111 1111 1111 1111 from the right, every second doubled: 8 ones + 7 twos + 8 = 30.
    assert luhn_holds("4111111111111111")
    assert not luhn_holds("4111111111111112")
    assert luhn_holds("79927398713")


def test_the_iban_remainder_is_right_by_hand():
    # GB82 WEST 1234 5698 7654 32 is the textbook case: 3214282912345698765432161182 mod 97 = 1.
    assert 3214282912345698765432161182 % 97 == 1
    assert mod_97_holds("GB82WEST12345698765432")
    assert not mod_97_holds("GB83WEST12345698765432")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mail bob.smith@example.co.uk, now", "mail [e-mail address removed], now"),
        ("card 4111-1111-1111-1111.", "card [card number removed]."),
        ("3782 822463 10005 is amex", "[card number removed] is amex"),
        ("pay DE89 3704 0044 0532 0130 00 today", "pay [IBAN removed] today"),
        ("pay de89370400440532013000", "pay [IBAN removed]"),
        ("call +49 (30) 1234567", "call [phone number removed]"),
        ("call (555) 123-4567 or 555-987-6543", "call [phone number removed] or [phone number removed]"),
        ("ring 030 1234567!", "ring [phone number removed]!"),
    ],
)
def test_private_data_is_taken_out(text, clean):
    assert cleaned(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-15 12:30 and 01-02-2024 10:30",
        "192.168.100.200 and 3.14159265358979",
        "@everyone, a@b, x@y.z and foo @ bar.com",
        "2+12345678 = 12345680",
        "order 4111111111111112",
        "GB83 WEST 1234 5698 7654 32 has a wrong check digit",
        "ISBN 978-3-16-148410-0",
    ],
)
def test_what_is_not_private_stays(text):
    assert cleaned(text) == text


@given(st.text(alphabet="ab@.+-() 0123456789DE\n", max_size=200))
def test_findings_are_in_order_apart_and_short_enough_for_the_stream_window(text):
    found = findings(text)
    assert all(0 <= f.start < f.end <= len(text) and f.end - f.start <= 160 for f in found)
    assert all(one.end <= two.start for one, two in zip(found, found[1:], strict=False))


@pytest.mark.parametrize(
    ("text", "is_loop"),
    [
        ("Good start. " + "I am sorry. " * 6, True),
        ("Good start. " + "I am sorry. " * 5, False),
        ("no " * 12, True),
        ("very very very very good", False),
        ("a" * 60, True),
        ("a" * 59, False),
        ("-" * 200, False),
        ("Each sentence of this text says something else, as it should.", False),
    ],
)
def test_loops_are_escalated_with_an_apology(text, is_loop):
    verdict = STACK.run(Exchange(user_prompt("x"), text))
    assert (verdict.verdict == "escalate") == is_loop
    assert (verdict.text is not None) == is_loop


def lines_run(text):
    """Lines of this package that run for a text as prompt and as completion: a bound that no clock can blur."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if "deployment/layers" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        STACK.run(Exchange(user_prompt(text)))
        STACK.run(Exchange(user_prompt("x"), text))
    finally:
        sys.settrace(before)
    return count


ADVERSARIAL = [
    "a", "@", "a@", "a.", "1", "1 ", "1-", "+1", "(1", "DE89", "DE89 ", "<|", "<|a", "[INST", "make ", "bath ", "b ",
    "steal pass", "é", "\u0301", "la la ", "x y ", "\ufdfa",
]  # fmt: skip


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_work_grows_with_the_text_and_no_faster(unit):
    once, twice = (lines_run((unit * size)[:size]) for size in (500, 1000))
    assert twice <= 2.2 * once + 200
    assert twice <= 150 * 1000


def test_every_pattern_has_its_only_unbounded_repeat_at_its_end():
    patterns = set()
    for module in iter_modules(layers.__path__):
        for value in vars(import_module(f"assay.deployment.layers.{module.name}")).values():
            if isinstance(value, re.Pattern):
                patterns.add(value)
    assert len(patterns) >= 5

    def unbounded(parsed):
        return [at for at, (code, argument) in enumerate(parsed) if _is_unbounded(str(code), argument)]

    def _is_unbounded(code, argument):
        return code in ("MAX_REPEAT", "MIN_REPEAT") and argument[1] == regex_parser.MAXREPEAT

    for pattern in patterns:
        parsed = regex_parser.parse(pattern.pattern)
        assert unbounded(parsed) in ([], [len(parsed) - 1]), pattern.pattern
        assert pattern.pattern.count("*") + pattern.pattern.count("+") <= 1 + pattern.pattern.count("(?")


def test_a_layer_in_shadow_mode_can_be_declared_for_an_output_too():
    rule = {"name": "r", "all_of": [["zebra"]], "refusal": "no", "denies": ["zebra", "a zebra"], "allows": ["horse"]}
    declared = {
        "layers": [
            {"use": "blocked_terms", "stage": "output", "mode": "shadow", "failure_mode": "open", "owner": "me",
             "settings": {"rules": [rule]}}
        ]
    }  # fmt: skip
    stack = build_layers(declared, source="test")
    assert isinstance(stack, LayerStack)
    verdict = stack.run(Exchange(user_prompt("x"), "a zebra"))
    assert (verdict.verdict, verdict.results[0].verdict) == ("allow", "deny")
