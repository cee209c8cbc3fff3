"""Errors: one tree, and a message that says what was expected, what was found and what to do."""

import pytest

from assay.records import errors
from assay.records.errors import AssayError, InputError, explain


def test_every_error_is_of_the_one_tree() -> None:
    found = [item for item in vars(errors).values() if isinstance(item, type) and item.__module__ == errors.__name__]
    assert len(found) == 12
    assert all(issubclass(item, AssayError) for item in found)


def test_a_message_says_expected_got_and_do_in_that_order() -> None:
    assert explain(expected="a", got="b", do="mend c") == "expected a; got b; mend c"


def test_an_input_error_lists_every_fault() -> None:
    with pytest.raises(InputError, match="2 faults\n  line 1: x\n  line 9: y") as caught:
        raise InputError("2 faults", ["line 1: x", "line 9: y"])
    assert caught.value.faults == ("line 1: x", "line 9: y")
