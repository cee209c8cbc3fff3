"""Personal data: what is found has its checksum right, what is not one is left alone, and nothing is left behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.feedback.pii import IBAN_LENGTHS, MARKS, find_pii, is_iban, is_luhn, redact


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("email", "ada.lovelace+x@mail.example.org"),
        ("email", "jürgen@müller-bau.de"),
        ("phone", "+49 (0)30 1234-5678"),
        ("phone", "+14155550123"),
        ("phone", "0044 20 7946 0958"),
        ("phone", "(415) 555-0123"),
        ("phone", "415.555.0123"),
        ("phone", "030 / 12 34 56 78"),
        ("card", "4111 1111 1111 1111"),
        ("card", "378282246310005"),
        ("card", "5555-5555-5555-4444"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "GB82WEST12345698765432"),
        ("iban", "fr1420041010050500013m02606"),
        ("iban", "NO93 8601 1117 947"),
        ("ip", "203.0.113.77"),
        ("ip", "2001:db8:85a3::8a2e:370:7334"),
        ("key", "sk-proj-abcdefghijklmnop1234"),
        ("key", "ghp_" + "a1B2" * 9),
        ("key", "AKIAIOSFODNN7EXAMPLE"),
        ("key", "AIza" + "x" * 35),
        ("key", "xoxb-123456789012-abcdef"),
        ("key", "hf_" + "q" * 34),
        ("key", "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4"),
        ("key", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"),
    ],
)
def test_each_kind_is_found_where_it_stands(kind, said):
    text = f"Write to {said}, thanks."
    (found,) = find_pii(text)
    assert (found.kind, found.text, text[found.start : found.end]) == (kind, said, said)
    assert redact(text) == f"Write to {MARKS[kind]}, thanks."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("password: hunter2hunter2", "password: [key]"),
        ("https://ada:secret@host.example/x", "https://[key]@host.example/x"),
        ("a@b.org, c@d.org", "[e-mail], [e-mail]"),
        ("DE89 3704 0044 0532 0130 00 is mine", "[iban] is mine"),
    ],
)
def test_what_stands_around_is_left(text, kept):
    assert redact(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Released on 2024-11-24 at 12:30:45, version 1.2.3.",
        "It costs 1,234,567.89 and 100 000 000 more.",
        "4111 1111 1111 1112",
        "GB83 WEST 1234 5698 7654 32",
        "127.0.0.1 and ::1 and 0.0.0.0 and 999.1.1.1",
        "values[::2] and a::b and std::vector",
        "The order 10-20-30-40 and pages 010-020.",
        "@ada, see me @ noon",
        "sk-short and password: x",
        "pi is 3.14159265358979323846",
    ],
)
def test_what_is_none_is_left_alone(text):
    assert find_pii(text) == []


def test_checksums_by_hand():
    assert is_luhn("79927398713")
    assert not is_luhn("79927398710")
    assert is_iban("GB82WEST12345698765432")
    assert not is_iban("GB82WEST1234569876543")
    assert not is_iban("ZZ82WEST12345698765432")


@given(country=st.sampled_from(sorted(IBAN_LENGTHS)), data=st.data())
def test_exactly_one_check_number_fits_an_iban(country, data):
    length = IBAN_LENGTHS[country] - 4
    account = data.draw(st.text("0123456789ABCXYZ", min_size=length, max_size=length))
    fitting = [f"{country}{check:02d}{account}" for check in range(2, 99) if is_iban(f"{country}{check:02d}{account}")]
    assert len(fitting) == 1
    assert find_pii(f"({fitting[0]})")[0].text == fitting[0]


@given(number=st.text("0123456789", min_size=12, max_size=18))
def test_exactly_one_last_digit_fits_a_card(number):
    assert sum(is_luhn(number + last) for last in "0123456789") == 1


PIECES = st.sampled_from(
    [
        "ada@x.org",
        "+49 30 12345678",
        "4111111111111111",
        "8.8.8.8",
        "DE89370400440532013000",
        "password: ",
        " ",
        ".",
        "1",
        "-",
    ]
)


@given(text=st.lists(PIECES | st.text(max_size=4), max_size=8).map("".join))
def test_spans_lie_apart_in_order_and_nothing_is_left_when_they_are_taken_out(text):
    found = find_pii(text)
    assert all(one.end <= other.start for one, other in zip(found, found[1:], strict=False))
    assert all(text[one.start : one.end] == one.text for one in found)
    assert find_pii(redact(text)) == []


def test_a_long_text_without_any_is_read_once():
    for piece in ("a", "1 ", "a.", "-", ":", "DE89"):
        assert find_pii(piece * (20_000 // len(piece))) == []
