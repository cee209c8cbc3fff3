"""De-biasing: takes preferences or rewards that follow the surface, yields rewards that follow it less. Each by choice.

`nuisance` (named columns as regressors, taken out of features or weights), `odin` (a head for length, dropped),
`loess` (the local mean of the reward given length, after the fit), `augmentation` (pairs that balance what has nothing
to do with the prompt), `smoothing` (labels that learn from the model), `bottleneck` (what of the features people's
choices need).
"""
