"""Web: takes a workspace and a clock, yields sites in a browser. Handlers hold no business rules and train nothing.

`annotation` is the site where people judge pairs; `security` holds what every site needs (headers that allow no foreign
script, refusal of foreign forms, signed names in cookies); `templates` and `static` are plain Jinja pages, one
stylesheet and one small script without which everything still works.
"""

from assay.web.annotation import create_annotation_app

__all__ = ["create_annotation_app"]
