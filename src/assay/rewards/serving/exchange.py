"""Exchange: reads prompts and completions in the forms that other trainers hold them in, yields pairs to score.

TRL hands over texts or chat messages; OpenRLHF hands over a `query`, the rendered prompt with the completion behind it,
special tokens included. A prompt that the reward's own chat template rendered is taken apart again, for it must not be
rendered twice. A prompt rendered by another model's template cannot be told from plain text and is read as such: give
such prompts as messages.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jinja2 import TemplateError

from assay.lm import LanguageModel
from assay.records.conversation import Message, Prompt, Role, user_prompt
from assay.records.errors import InputError, explain

Said = str | Sequence[Mapping[str, Any]]
"""A text, or chat messages with `role` and `content`."""

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "tool": "user",
    "function": "user",
    "assistant": "assistant",
}
_SLOTS: Mapping[Role, str] = {"system": "\ue000", "user": "\ue001"}
_SHAPES: tuple[tuple[Role, ...], ...] = (("user",), ("system", "user"))


class Pair(NamedTuple):
    """A prompt and the completion to score."""

    prompt: Prompt
    completion: str


def read_pairs(lm: LanguageModel, prompts: Sequence[Said], completions: Sequence[Said]) -> list[Pair]:
    """Pairs of prompts and completions as TRL holds them. Raises InputError that lists every row that cannot be read.

    Of a completion of several messages the last one is scored; those before it become part of the prompt.
    """

    def read(prompt: Said, completion: Said) -> Pair:
        asked = read_rendered(lm, prompt) if isinstance(prompt, str) else _messages(prompt)
        if isinstance(completion, str):
            return Pair(asked, completion)
        said = _messages(completion)
        if said[-1].role != "assistant":
            raise ValueError(f"the completion ends with a message of the {said[-1].role}")
        return Pair((*asked, *said[:-1]), said[-1].content)

    return _each(read, prompts, completions)


def read_queries(lm: LanguageModel, queries: Sequence[str], prompts: Sequence[str]) -> list[Pair]:
    """Pairs from OpenRLHF's queries. Raises InputError that lists every query that does not hold its prompt."""
    special = {lm.tokenizer.decode([token]) for token in lm.eos_ids | {lm.pad_id}}
    endings = re.compile(f"(?:{'|'.join(map(re.escape, sorted(special)))})+$")

    def read(query: str, prompt: str) -> Pair:
        start = query.find(prompt)
        if start < 0:
            raise ValueError("the query does not hold its prompt, so what was answered cannot be told")
        return Pair(read_rendered(lm, prompt), endings.sub("", query[start + len(prompt) :]))

    return _each(read, queries, prompts)


def read_rendered(lm: LanguageModel, text: str) -> Prompt:
    """The messages of a prompt that the model's own template rendered; any other text is one user message.

    What matters is that they render to the very text: earlier turns stay, with their marks, inside the user's message.
    """
    if getattr(lm.tokenizer, "chat_template", None):
        for roles in _SHAPES:
            prompt = _taken_apart(lm, roles, text)
            if prompt is not None:
                return prompt
    return user_prompt(text)


def _taken_apart(lm: LanguageModel, roles: tuple[Role, ...], text: str) -> Prompt | None:
    try:
        frame = _render(lm, tuple(Message(role=role, content=_SLOTS[role]) for role in roles))
        before, *between, after = re.split("|".join(_SLOTS[role] for role in roles), frame)
        if not (text.startswith(before) and text.endswith(after)):
            return None
        inner = text[len(before) : len(text) - len(after)]
        contents = inner.split(between[0], 1) if between else [inner]
        prompt = tuple(Message(role=role, content=said) for role, said in zip(roles, contents, strict=False))
        return prompt if _render(lm, prompt) == text else None
    except TemplateError:  # templates may refuse a shape, such as one with a system message
        return None


def _render(lm: LanguageModel, prompt: Prompt) -> str:
    messages = [message.model_dump() for message in prompt]
    return str(lm.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def _messages(said: Sequence[Mapping[str, Any]]) -> Prompt:
    if not said:
        raise ValueError("no messages")
    return tuple(Message(role=_role(message), content=_text(message.get("content"))) for message in said)


def _role(message: Mapping[str, Any]) -> Role:
    role = message.get("role")
    if role not in _ROLES:
        raise ValueError(f"a message of role {role!r}; roles are {', '.join(_ROLES)}")
    return _ROLES[str(role)]


def _text(content: object) -> str:
    """A message's text: a string, nothing, or a list of text parts."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, Sequence) else [content]
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a message's content that is neither text nor text parts")
    return "".join(map(str, texts))


def _each(read: Callable[[Any, Any], Pair], first: Sequence[Any], second: Sequence[Any]) -> list[Pair]:
    """What `read` makes of each row. Raises InputError with all rows that it refuses with ValueError."""
    if len(first) != len(second):
        do = "send one of each a row"
        raise InputError(explain(expected=f"{len(first)} of both", got=f"{len(first)} and {len(second)}", do=do))
    pairs, faults = [], []
    for row, given in enumerate(zip(first, second, strict=True)):
        try:
            pairs.append(read(*given))
        except ValueError as error:
            faults.append(f"row {row}: {error}")
    if faults:
        do = "mend these rows and send all again; nothing was scored"
        raise InputError(explain(expected="rows that can be read", got=f"{len(faults)} that cannot", do=do), faults)
    return pairs
