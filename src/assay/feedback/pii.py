"""Personal data at the door: finds it in a text and takes it out. Takes a text, yields spans with their kind.

Pure and offline: patterns, with a checksum where the kind has one (cards by Luhn, IBANs by mod 97) and a parser where
there is one (IP addresses).

Catches: e-mail addresses; phone numbers in international form, in the North American form, and in national forms with a
leading 0 and separators; card numbers of 13 to 19 digits; IBANs of the countries in `IBAN_LENGTHS`; IPv4 and IPv6
addresses other than this machine's; keys and tokens of well-known services, private keys, JSON web tokens, passwords in
addresses and after `password:` and the like.
Does not catch: names, street addresses, birthdays, ID numbers, health, faiths, handles, what is spelt out ("ada at
example dot org"), numbers in words, phone numbers without any separator, or anything that only the context gives away.
Nothing found does not mean that nothing is there. Takes for personal data what is none: version numbers of four parts,
and one in ten random numbers that look like a card.

Other finders may stand beside these patterns (`assay.feedback.pii_finders`); kinds that only they find are named here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Literal, NamedTuple

Kind = Literal["key", "email", "iban", "card", "ip", "phone", "id", "account", "person", "place", "belonging", "other"]

WORDS: dict[Kind, str] = {
    "key": "key or password",
    "email": "e-mail address",
    "iban": "bank account (IBAN)",
    "card": "payment card",
    "ip": "IP address",
    "phone": "phone number",
    "id": "ID number",
    "account": "account or wallet",
    "person": "name",
    "place": "place",
    "belonging": "nationality, faith or party",
    "other": "other personal data",
}
MARKS: dict[Kind, str] = {
    "key": "[key]",
    "email": "[e-mail]",
    "iban": "[iban]",
    "card": "[card]",
    "ip": "[ip]",
    "phone": "[phone]",
    "id": "[id]",
    "account": "[account]",
    "person": "[name]",
    "place": "[place]",
    "belonging": "[belonging]",
    "other": "[personal]",
}
IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "NL"), 18),
    **dict.fromkeys(("SI", "MK"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "LT", "LU", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "DE", "GB", "GE", "IE", "ME", "RS"), 22),
    **dict.fromkeys(("AE", "GI", "IL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN"), 24),
    **dict.fromkeys(("PT",), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("FR", "GR", "IT", "MC", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "CY", "HU", "LB", "PL"), 28),
    **dict.fromkeys(("BR", "QA", "UA"), 29),
    **dict.fromkeys(("MT",), 31),
}
"""Characters of an IBAN by country (ISO 13616)."""

_KEYS = [
    re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:.*?-----END [A-Z ]{0,30}PRIVATE KEY-----|.*)", re.DOTALL),
    re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    re.compile(
        r"\b(?:sk-[\w-]{20,}|[sr]k_(?:live|test)_\w{16,}|gh[pousr]_\w{36,}|github_pat_\w{22,}|glpat-[\w-]{20,})"
    ),
    re.compile(r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|xox[abprs]-[\w-]{10,}|hf_\w{30,}|npm_\w{36})\b"),
    re.compile(r"(?<=://)[^\s/:@]{1,64}:[^\s/:@]{1,128}(?=@)"),
    re.compile(
        r"(?i)\b(?:password|passwort|passwd|api[_ -]?key|secret|access[_ -]?token)['\"]?\s{0,3}[:=]\s{0,3}(\S{8,})"
    ),
]
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}")
_CARD = re.compile(r"(?<![\w.+-])[2-6](?:[ -]?\d){12,18}(?!\w)")
_IP = re.compile(r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w)|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:]))")
_PHONES = [
    re.compile(r"(?<![\w+.])(?:\+|00)[1-9](?:[ ()./-]{0,2}\d){7,14}(?!\w)"),
    re.compile(r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"),
    re.compile(r"(?<![\w.,/-])\(?0\d{1,4}\)?[ /-]{1,3}\d{2,4}(?:[ -]?\d{2,4}){1,4}(?!\w)"),
]
_FEWEST_DIGITS = 9


class Found(NamedTuple):
    """Personal data in a text: its kind, where it stands, and the words themselves."""

    kind: Kind
    start: int
    end: int
    text: str


def find_pii(text: str) -> list[Found]:
    """All that is found, from the start, none over another; where two overlap, the kind that is surer stays."""
    kept: list[Found] = []
    for kind, spans in _searches(text):
        for start, end in spans:
            if all(end <= other.start or other.end <= start for other in kept):
                kept.append(Found(kind, start, end, text[start:end]))
    return sorted(kept, key=lambda found: found.start)


def redact(text: str, found: Sequence[Found] | None = None) -> str:
    """The text with a mark in place of everything found, or of what was found in it and is named here."""
    for one in reversed(find_pii(text) if found is None else found):
        text = text[: one.start] + MARKS[one.kind] + text[one.end :]
    return text


def is_luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1): every second from the right is doubled."""
    doubled = [int(one) * (1 + place % 2) for place, one in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def is_iban(characters: str) -> bool:
    """Whether the check digits fit (ISO 7064, mod 97-10) and the length is that of the country."""
    code = characters.upper()
    if IBAN_LENGTHS.get(code[:2]) != len(code):
        return False
    return int("".join(str(int(one, 36)) for one in code[4:] + code[:4])) % 97 == 1


def _searches(text: str) -> Iterable[tuple[Kind, Iterator[tuple[int, int]]]]:
    """The kinds, the surest first, with the spans of each."""
    return [
        ("key", (found.span(found.lastindex or 0) for pattern in _KEYS for found in pattern.finditer(text))),
        ("email", (found.span() for found in _EMAIL.finditer(text))),
        ("iban", _ibans(text)),
        ("card", (found.span() for found in _CARD.finditer(text) if is_luhn(_digits(found[0])))),
        ("ip", (found.span() for found in _IP.finditer(text) if _is_somebodys(found[0]))),
        ("phone", _phones(text)),
    ]


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for found in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(found[0][:2].upper(), 0)
        end, characters = found.start(), ""
        while end < len(text) and len(characters) < length:
            is_part = text[end].isascii() and text[end].isalnum()
            if not is_part and (text[end] not in " -" or not text[end - 1].isalnum()):
                break
            characters += text[end] if is_part else ""
            end += 1
        is_whole = end == len(text) or not text[end].isalnum()
        if length and is_whole and is_iban(characters):
            yield found.start(), end


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for pattern in _PHONES:
        for found in pattern.finditer(text):
            if _FEWEST_DIGITS <= len(_digits(found[0])) <= 15:
                yield found.span()


def _is_somebodys(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    is_slice = ":" in text and sum(bool(part) for part in text.split(":")) < 3
    return not (address.is_loopback or address.is_unspecified or is_slice)


def _digits(text: str) -> str:
    return "".join(one for one in text if one.isdecimal())
