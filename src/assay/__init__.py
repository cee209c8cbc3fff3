"""Assay: fine-tunes language models on human preferences and keeps them from hacking their reward.

The rooms, in the order in which data walks through them: `feedback`, `preferences`, `rewards`, `alignment` (watched by
`monitors`), `evaluation`, `governance`, `deployment`. `records` holds the nouns they exchange, `storage` keeps them,
`lm` loads and runs language models, `web` shows the same rooms in a browser, `bench` measures the claims and `cli` is
the only place that knows every room.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
