"""Layers: takes an exchange, yields a verdict of the rules that stand between people and the model.

`layer` says what a layer is, `stack` runs layers in order and applies failure modes, `loading` builds a stack from YAML
(`default_layers.yaml`), `words` folds text for matching. Built in: `injection_markers`, `prompt_length` and
`blocked_terms` for prompts, `private_data` and `repetition` for completions. Nothing here needs torch.
"""

from assay.deployment.layers.layer import ALLOW, Exchange, Layer, LayerManifest, LayerVerdict
from assay.deployment.layers.loading import KINDS, build_layers, load_layers
from assay.deployment.layers.stack import LayerResult, LayerStack, StackVerdict

__all__ = [
    "ALLOW",
    "Exchange",
    "KINDS",
    "Layer",
    "LayerManifest",
    "LayerResult",
    "LayerStack",
    "LayerVerdict",
    "StackVerdict",
    "build_layers",
    "load_layers",
]
