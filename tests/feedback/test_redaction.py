"""Redaction: a model that speaks of itself loses its name; a text that speaks of others keeps theirs."""

import pytest

from assay.feedback.redaction import redact_self_names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("I am ChatGPT, a model.", "I am [name], a model."),
        ("I'm Claude 3 Opus.", "I'm [name]."),
        ("My name is **Llama-3.1**!", "My name is **[name]**!"),
        ("As a GPT-4 model", "As a [name] model"),
        ("trained by OpenAI and Google", "trained by [name] and Google"),
        ("developed by the Google DeepMind team", "developed by the [name] team"),
        ("Claude Monet painted it.", "Claude Monet painted it."),
        ("OpenAI released a paper.", "OpenAI released a paper."),
        ("I am going home", "I am going home"),
    ],
)
def test_names_are_hidden_where_a_text_speaks_of_itself(text, shown):
    assert redact_self_names(text) == shown


def test_declared_names_are_hidden_as_whole_words_everywhere():
    assert redact_self_names("Zed-9 and zed-9x (ZED-9)", hidden=("Zed-9", " ")) == "[name] and zed-9x ([name])"
