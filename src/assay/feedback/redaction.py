"""Redaction: hides a model's own name and maker where a completion gives them away. Takes text, yields text to show.

Only on the screen: records keep what was said. A known name is hidden where the text speaks of itself ("I am …",
"developed by …"), and names that a scheme declares are hidden everywhere.

Catches: the usual ways to introduce oneself in English with a name from a closed list. Does not catch: other languages,
names that are not on the list, and a style that a practised reader recognises.
"""

import re
from collections.abc import Sequence

MARK = "[name]"

_NAMES = (
    r"(?:Chat)?GPT(?:[- ]?\d[\w.]*)?|Claude(?: \d[\w.]*)?(?: (?:Opus|Sonnet|Haiku))?|Gemini(?: \w+)?|Gemma|Bard|Copilot"
    r"|PaLM|Llama(?:[- ]?\d[\w.]*)?|Mistral|Mixtral|Qwen[\w.]*|DeepSeek[\w-]*|Grok|SmolLM\w*|Phi-\d|Vicuna|Alpaca"
    r"|Command R\+?|Falcon|Yi|ERNIE(?: Bot)?|Kimi|Open ?Assistant|HuggingChat|Pi|Nova"
)
_MAKERS = (
    r"OpenAI|Anthropic|Google(?: DeepMind)?|DeepMind|Meta(?: AI)?|Microsoft|Mistral AI|Alibaba(?: Cloud)?|DeepSeek"
    r"|xAI|Hugging ?Face|Cohere|Baidu|Moonshot(?: AI)?|LMSYS|Amazon|Apple|NVIDIA|Inflection(?: AI)?|01\.AI"
)
_SELF = re.compile(
    rf"(\b(?:I am|I['\u2019]m|I was|my name is|call me|this is|as)\s+(?:an?\s+|the\s+)?[*_`\"]*)({_NAMES})\b",
    re.IGNORECASE,
)
_MADE = re.compile(
    rf"(\b(?:developed|created|made|trained|built|designed|provided|released|maintained)\s+by\s+(?:the\s+)?[*_`\"]*)"
    rf"({_MAKERS})\b",
    re.IGNORECASE,
)


def redact_self_names(text: str, *, hidden: Sequence[str] = ()) -> str:
    """The text with self-names replaced by a mark; `hidden` names go wherever they stand, as whole words."""
    text = _SELF.sub(rf"\g<1>{MARK}", text)
    text = _MADE.sub(rf"\g<1>{MARK}", text)
    for name in hidden:
        if name.strip():
            text = re.sub(rf"(?<!\w){re.escape(name.strip())}(?!\w)", MARK, text, flags=re.IGNORECASE)
    return text
