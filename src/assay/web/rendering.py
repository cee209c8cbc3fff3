"""Rendering: a completion as people read it. Takes Markdown or plain text, yields HTML that can do nothing.

HTML in a completion is shown as text; links and images are not made, so a page loads nothing from outside and nobody
follows a hostile address. Models' self-names are hidden first.
"""

from functools import cache

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from assay.feedback.redaction import redact_self_names
from assay.feedback.schemes import Scheme

_SILENT = ["image", "link", "autolink", "reference", "html_inline", "html_block", "entity"]
LONGEST = 200_000


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
    return parser.enable(["table", "strikethrough"]).disable(_SILENT)


def as_read(text: str, scheme: Scheme) -> Markup:
    """HTML of one completion, as the scheme wants it rendered; very long texts are shown plain."""
    shown = redact_self_names(text, hidden=scheme.hidden_names)
    if scheme.rendering == "plain" or len(shown) > LONGEST:
        return Markup('<div class="plain">{}</div>').format(shown)
    html = _markdown().render(shown)
    # Headings of a completion must not stand among those of the page.
    for level in range(1, 7):
        html = html.replace(f"<h{level}>", f'<p class="heading level{level}">').replace(f"</h{level}>", "</p>")
    return Markup(html)  # noqa: S704 -- the parser has escaped everything that it did not write itself


def as_shown(text: str, scheme: Scheme) -> Markup:
    """The text itself, escaped, with self-names hidden; for fields in which people edit it."""
    return escape(redact_self_names(text, hidden=scheme.hidden_names))
