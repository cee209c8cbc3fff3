"""Chat: turns messages into token ids, once, by the model's own template."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from assay.lm.loading import LanguageModel
from assay.records.conversation import Message
from assay.records.errors import InputError, explain

SHORTEN = "shorten or leave these out, or take a model with a longer context"


class EncodedPair(NamedTuple):
    """Ids of a prompt and of its completion, the end-of-turn token included."""

    prompt: list[int]
    completion: list[int]

    @property
    def length(self) -> int:
        """Tokens of both."""
        return len(self.prompt) + len(self.completion)


def encode_prompt(lm: LanguageModel, prompt: Sequence[Message]) -> list[int]:
    """Ids of a prompt up to where the completion starts.

    A model without a chat template gets plain `User: … Assistant:` text.
    """
    messages = [message.model_dump() for message in prompt]
    if getattr(lm.tokenizer, "chat_template", None):
        text = lm.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return list(lm.tokenizer(text, add_special_tokens=False)["input_ids"])
    lines = [f"{message['role'].capitalize()}: {message['content']}" for message in messages]
    return list(lm.tokenizer("\n".join([*lines, "Assistant:"]))["input_ids"])


def encode_pair(lm: LanguageModel, prompt: Sequence[Message], completion: str) -> EncodedPair:
    """Ids of a prompt and a finished completion; the completion ends with the end-of-turn token."""
    ids = list(lm.tokenizer(completion, add_special_tokens=False)["input_ids"])
    return EncodedPair(encode_prompt(lm, prompt), [*ids, int(lm.tokenizer.eos_token_id)])


def count_tokens(lm: LanguageModel, prompt: Sequence[Message]) -> int:
    """How many tokens a prompt takes."""
    return len(encode_prompt(lm, prompt))


def require_room(lm: LanguageModel, lengths: Sequence[int], new_tokens: int) -> None:
    """Raise InputError that lists every prompt too long for the context with `new_tokens` to come."""
    room = lm.context_length - new_tokens
    faults = [f"prompt {i}: {length} tokens" for i, length in enumerate(lengths) if length > room]
    if faults:
        expected = f"prompts of at most {room} tokens (context {lm.context_length}, completion {new_tokens})"
        do = "shorten or drop these prompts, or lower max_tokens"
        raise InputError(explain(expected=expected, got=f"{len(faults)} longer", do=do), faults[:50])


def require_context(lm: LanguageModel, lengths: Iterable[tuple[str, int]], *, do: str = SHORTEN) -> None:
    """Raise InputError that lists every (name, tokens) of a prompt and completion beyond the context."""
    faults = [f"{name}: {length} tokens" for name, length in lengths if length > lm.context_length]
    if faults:
        expected = f"prompts with completions of at most {lm.context_length} tokens, the context of {lm.source!r}"
        raise InputError(explain(expected=expected, got=f"{len(faults)} longer", do=do), faults[:50])
