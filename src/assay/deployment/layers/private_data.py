"""Private data: takes e-mail addresses, phone numbers, card numbers and IBANs out of a completion.

Cards must pass the Luhn check (ISO/IEC 7812-1), IBANs their country's length and mod 97 = 1 (ISO 13616). Each finding
is at most `REACH` characters long, so a stream that holds back that much never lets out half of one. The pass is
linear: `@` signs are looked up and a bounded stretch on either side of each is read; numbers are read once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from assay.deployment.layers.layer import ALLOW, Exchange, LayerManifest, LayerVerdict
from assay.records.record import Value

VERSION = 1
REACH = 160
CATCHES = (
    "e-mail addresses of ASCII letters, up to 64 characters on either side of the @",
    "phone numbers with + and country code, written 555-123-4567, or with a leading 0 and an area code",
    "card numbers of 13 to 19 digits that pass the Luhn check; IBANs of 39 countries that pass mod 97",
)
DOES_NOT_CATCH = (
    "names, addresses, birthdays, identity and passport numbers, numbers written in words or other scripts",
    "data spelt apart (bob at example dot com); local numbers without an area code",
    "one unrelated number in ten with a card's length passes the Luhn check and is taken out as well",
)

_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-'")
_DOMAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
_LONGEST_SIDE = 64
PHONE = "phone number"
_NUMBER = re.compile(r"[0-9][0-9 ().-]*")
_DIGITS = re.compile(r"[0-9]+")
_IBAN_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d\d")
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI NL",
    19: "SI",
    20: "AT BA EE LT LU",
    21: "CH HR LI LV",
    22: "BG DE GB IE",
    23: "AE IL",
    24: "AD CZ ES RO SA SE SK",
    25: "PT",
    26: "IS TR",
    27: "FR GR IT",
    28: "AL CY HU PL",
    31: "MT",
}
_IBAN_LENGTHS = {country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()}


class Settings(Value):
    """Nothing to set."""


class Finding(NamedTuple):
    """One piece of private data: where it stands (start, end) and what it is."""

    start: int
    end: int
    what: str


class _Group(NamedTuple):
    start: int
    end: int
    digits: str


@dataclass(frozen=True)
class PrivateData:
    """The layer. Puts `[… removed]` where a finding stood."""

    manifest: LayerManifest
    settings: Settings

    def check(self, exchange: Exchange) -> LayerVerdict:
        """Modify a completion that holds private data."""
        text = "\n".join(exchange.texts)
        found = findings(text)
        if not found:
            return ALLOW
        reason = ", ".join(sorted({finding.what for finding in found}))
        return LayerVerdict("modify", f"removed: {reason}", _without(text, found))


def build(manifest: LayerManifest, settings: Settings) -> PrivateData:
    """Make the layer."""
    return PrivateData(manifest, settings)


def findings(text: str) -> list[Finding]:
    """Private data in a text, in order, without overlaps; what starts first wins, an IBAN before a number in it."""
    found: list[Finding] = []
    end = 0
    for finding in sorted([*_ibans(text), *_numbers(text), *_emails(text)]):
        if finding.start >= end:
            found.append(finding)
            end = finding.end
    return found


def luhn_holds(digits: str) -> bool:
    """Whether the last digit checks the others: from the right, every second digit doubled, digit sums, mod 10 = 0."""
    total = sum(sum(divmod(int(d) * (1 + at % 2), 10)) for at, d in enumerate(reversed(digits)))
    return total % 10 == 0


def mod_97_holds(iban: str) -> bool:
    """Whether an IBAN, its first four characters moved to the end and letters as 10 to 35, leaves 1 modulo 97."""
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _emails(text: str) -> Iterator[Finding]:
    at = text.find("@")
    while at >= 0:
        start = at
        while start > 0 and at - start < _LONGEST_SIDE and text[start - 1] in _LOCAL:
            start -= 1
        end = at + 1
        while end < len(text) and end - at <= _LONGEST_SIDE and text[end] in _DOMAIN:
            end += 1
        domain = text[at + 1 : end].rstrip(".-")
        if start < at and "." in domain.strip(".") and len(domain.rsplit(".", 1)[1]) >= 2:
            yield Finding(start, at + 1 + len(domain), "e-mail address")
        at = text.find("@", at + 1)


def _ibans(text: str) -> Iterator[Finding]:
    for match in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper(), 0)
        compact, at = "", match.start()
        while len(compact) < length and at < len(text):
            if text[at].isascii() and text[at].isalnum():
                compact += text[at]
            elif text[at] != " " or text[at - 1] == " ":
                break
            at += 1
        if length and len(compact) == length and mod_97_holds(compact):
            yield Finding(match.start(), at, "IBAN")


def _numbers(text: str) -> Iterator[Finding]:
    for match in _NUMBER.finditer(text):
        first = match.start()
        groups = [_Group(first + g.start(), first + g.end(), g[0]) for g in _DIGITS.finditer(match[0])]
        at = 0
        while at < len(groups):
            size, what = _number_at(text, groups[at : at + 7])
            if what:
                start = groups[at].start - (len(_sign_before(text, groups[at].start)) if what == PHONE else 0)
                yield Finding(start, groups[at + size - 1].end, what)
            at += size


def _number_at(text: str, groups: list[_Group]) -> tuple[int, str | None]:
    """How many groups the longest card or phone number that starts here has, and which it is; (1, None) without one."""
    lengths = [len(group.digits) for group in groups]
    if sum(lengths) < 8:
        return 1, None
    has_plus = "+" in _sign_before(text, groups[0].start)
    for size in range(len(groups), 0, -1):
        if not 8 <= sum(lengths[:size]) <= 19 or groups[size - 1].end - groups[0].start > REACH // 2:
            continue
        between = text[groups[0].end : groups[size - 1].start]
        digits = "".join(group.digits for group in groups[:size])
        if not has_plus and _is_card(lengths[:size], digits, between):
            return size, "card number"
        if _is_phone(lengths[:size], digits, between, has_plus):
            return size, PHONE
    return 1, None


def _sign_before(text: str, start: int) -> str:
    """The `+`, `(` or `+(` that belongs to a number; a plus behind a letter or digit is arithmetic."""
    for sign in ("+(", "+", "("):
        before = text[start - len(sign) - 1] if start > len(sign) else ""
        if text[max(0, start - len(sign)) : start] == sign and not before.isalnum():
            return sign
    return ""


def _is_card(lengths: list[int], digits: str, between: str) -> bool:
    is_shaped = len(lengths) == 1 or (lengths[0] == 4 and all(length >= 3 for length in lengths[1:-1]))
    has_separators = all(c.isdigit() or c in " -" for c in between)
    return 13 <= len(digits) <= 19 and digits[0] != "0" and is_shaped and has_separators and luhn_holds(digits)


def _is_phone(lengths: list[int], digits: str, between: str, has_plus: bool) -> bool:
    if has_plus:
        return 8 <= len(digits) <= 15
    if lengths in ([3, 3, 4], [1, 3, 3, 4]):
        return True
    has_area_code = len(lengths) > 1 and digits[0] == "0" and lengths[0] >= 3
    return has_area_code and 9 <= len(digits) <= 12 and all(c.isdigit() or c in " -()" for c in between)


def _without(text: str, found: list[Finding]) -> str:
    parts, end = [], 0
    for finding in found:
        parts.append(f"{text[end : finding.start]}[{finding.what} removed]")
        end = finding.end
    return "".join([*parts, text[end:]])
