"""Records: the frozen, content-hashed nouns that rooms exchange, and the tree of errors. Takes nothing, yields nouns.

One noun a file, imported by its module: `record` (the base), `conversation`, `judgement`, `preference`, `identity`
(what the firewall compares), `provenance`, `reward`, `observation` (and alarms), `policy`, `evidence`, `decision`,
`release`, `run`, and `errors`.
"""
