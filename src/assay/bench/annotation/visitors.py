"""Visitors: a script that plays some annotators over HTTP as a browser without its script would. Standard library only.

Reads one JSON line (what `Visitors` in `crowd` holds), logs everybody in, says `ready`, waits for a line, then answers
pages until time is up and prints what happened as one line of JSON. An answer whose outcome is not known, because the
connection broke, is sent again as it was.
"""

import http.client
import json
import random
import re
import sys
import threading
import time
from urllib.parse import urlencode, urlsplit

REPLY = re.compile(r'<form class="reply".*?</form>', re.S)
FIELD = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"')
TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')
REASON = re.compile(r'name="reason" value="([a-z_]+)"')
ANSWERS = ("left", "right", "tie")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RETRY_S = 0.05


class GaveUpError(Exception):
    """The server did not answer for longer than anybody waits."""


class Annotator:
    """One person's browser: a connection that is kept, a cookie, and the page in front of them."""

    def __init__(self, plan: dict[str, object], name: str) -> None:
        self.host, self.port, self.campaign = str(plan["host"]), int(str(plan["port"])), str(plan["campaign"])
        self.patience_s, self.path = float(str(plan["patience_s"])), f"/c/{plan['campaign']}"
        self.name, self.cookie, self.page, self.retries = name, "", "", 0
        self.rng = random.Random(f"{plan['seed']} {name}")
        self.connection = self._connect()
        self.submits: list[tuple[str, float, float, float]] = []
        self.faults: list[str] = []
        self.gone = 0

    def enter(self) -> None:
        """Log in by name and agree to the text, as everybody does before the first item."""
        self._send("POST", "/login", {"name": self.name, "campaign": self.campaign})
        self.page = self.get(self.path)
        if "reply" not in self.page:
            wishes = dict.fromkeys(re.findall(r'type="checkbox" name="([^"]+)"', self.page), "yes")
            self._send("POST", f"{self.path}/consent", {**wishes, "token": self._token()})
            self.page = self.get(self.path)

    def answer(self, started: float) -> bool:
        """Answer the item on the page and wait for the next; False where there is none."""
        form = REPLY.search(self.page)
        if form is None:
            return False
        fields = dict(FIELD.findall(form[0])) | {"overall": self.rng.choice(ANSWERS), "active_s": "1.0"}
        sent = time.perf_counter()
        status, _, where = self._send("POST", f"{self.path}/answer", fields)
        stored = time.perf_counter()
        self.page = self.get(where or self.path)
        shown = time.perf_counter()
        if status != 303:
            return True
        if not where.startswith(f"{self.path}?"):
            self.faults.append(f"POST {self.path}/answer {status}: led to {where}")
        elif where.endswith("said=gone"):
            self.gone += 1
        else:
            self.submits.append((fields["item"], sent - started, stored - sent, shown - sent))
        if REPLY.search(self.page) is None and (reason := REASON.search(self.page)):
            rest = {"token": self._token(), "reason": reason[1], "choice": "go_on"}
            self._send("POST", f"{self.path}/rest", rest)
            self.page = self.get(self.path)
        return True

    def get(self, path: str) -> str:
        """The page at a path."""
        return self._send("GET", path)[1]

    def _token(self) -> str:
        found = TOKEN.search(self.page)
        return found[1] if found else ""

    def _send(self, method: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, body and where it leads; sent again while the server does not answer, until patience ends."""
        body = urlencode(fields) if fields is not None else None
        last_try = time.perf_counter() + self.patience_s
        while True:
            try:
                self.connection.request(method, path, body, {"Cookie": self.cookie} | (FORM if body else {}))
                answer = self.connection.getresponse()
                text = answer.read().decode()
                break
            except (OSError, http.client.HTTPException) as error:
                self.connection.close()
                if time.perf_counter() > last_try:
                    raise GaveUpError(f"{method} {path}: {error}") from error
                self.retries += 1
                time.sleep(RETRY_S)
                self.connection = self._connect()
        if cookie := answer.headers.get("set-cookie"):
            self.cookie = cookie.split(";", 1)[0]
        if answer.status not in (200, 303):
            self.faults.append(f"{method} {path.split('?')[0]} {answer.status}: {' '.join(text.split())[-300:]}")
        where = urlsplit(answer.headers.get("location") or "")
        return answer.status, text, f"{where.path}?{where.query}" if where.query else where.path

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=self.patience_s)


def work(annotator: Annotator, *, first_s: float, period_s: float, seconds: float, started: float) -> None:
    """Answer every `period_s` seconds, from `first_s` on, for so many seconds; at once where that is too late."""
    turn = 0
    try:
        while (due := started + first_s + turn * period_s) < started + seconds:
            time.sleep(max(0.0, due - time.perf_counter()))
            if time.perf_counter() > started + seconds or not annotator.answer(started):
                return
            turn += 1
    except GaveUpError as error:
        annotator.faults.append(str(error))


def main() -> None:
    """Play the annotators of the plan on standard input."""
    plan = json.loads(sys.stdin.readline())
    people = [Annotator(plan, name) for name in plan["names"]]
    for one in people:
        one.enter()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    started = time.perf_counter()
    threads = [
        threading.Thread(
            target=work,
            args=(one,),
            kwargs={
                "first_s": one.rng.random() * max(plan["period_s"], 0.05),
                "period_s": plan["period_s"],
                "seconds": plan["seconds"],
                "started": started,
            },
        )
        for one in people
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [
        {"name": one.name, "submits": one.submits, "faults": one.faults, "gone": one.gone, "retries": one.retries}
        for one in people
    ]
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
