"""Web: takes a workspace and a clock, yields sites in a browser. Handlers hold no business rules and train nothing.

`annotation` puts the site together where people judge: `entry` is the way in, `joining` that of a panel, `rights`
what people agree to, `comfort` what they would rather not see, `judging` the pages of a campaign, `personal` what it
asks before personal data is stored, `staff` what reviewers, managers and auditors see, `api` what programs read with
a token, `site` what all of them share; `forms`, `keys` and `rendering` turn forms into answers, schemes into keys and
completions into harmless HTML, `fixed` renders once what is the same for every item. `security` and `rate_limit` are
what every site needs: headers that allow no foreign script, refusal of foreign forms, signed sessions and links.
`templates` and `static` are plain Jinja pages, one stylesheet and one small script; without it everything still works.
"""

from assay.web.annotation import create_annotation_app, join_address, login_address
from assay.web.site import campaign_path

__all__ = ["campaign_path", "create_annotation_app", "join_address", "login_address"]
