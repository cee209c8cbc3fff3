"""Tuning: rewards with weights of their own: a language model, or its last state, trained on preferences.

`finetune` is the loop for one set of weights (LoRA or all of them), `shared_prompt` reads both completions behind one
copy of the prompt, `training` makes an ensemble or an average (WARM) of several seeds, `tuned` holds what came out,
`last_state` is a linear head behind the final norm, `export` writes either as a one-label sequence classifier.
"""
