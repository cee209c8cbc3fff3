"""Visits for tests of the annotation site: a client that sends each form as a page of the visit would."""

import re

from starlette.testclient import TestClient


class Visit(TestClient):
    """Adds the token of the visit's forms to every post that brings none."""

    _seen = ("", "")

    def token(self):
        """The token of the visit that the cookies hold now."""
        visit = str(dict(self.cookies))
        if self._seen[0] != visit or not self._seen[1]:
            found = re.search(r'name="token" value="([0-9a-f]+)"', self.get("/rights").text)
            self._seen = (visit, found.group(1) if found else "")
        return self._seen[1]

    def post(self, url, *, data=None, **settings):
        data = dict(data or {})
        if url not in ("/login", "/enter"):
            data.setdefault("token", self.token())
        if url.endswith("/consent"):
            data.setdefault("purpose.train", "yes")
        return super().post(url, data=data, **settings)
