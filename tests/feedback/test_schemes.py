"""Schemes: read from a file, versioned by content, and refused with every fault."""

import pytest

from assay.feedback.schemes import Scheme, read_scheme, stored_scheme
from assay.records.errors import InputError

TEXT = """
name: helpful
attributes:
  - {name: usefulness, title: Usefulness}
  - {name: detail, title: Level of detail, kind: amount}
  - name: tone
    title: Tone
    kind: scale
    steps: [{value: cold, label: Cold}, {value: warm, label: Warm}]
"""


def _read(tmp_path, now, text):
    (tmp_path / "scheme.yaml").write_text(text)
    return read_scheme(tmp_path / "scheme.yaml", now=now)


def test_a_scheme_is_read_and_any_changed_word_makes_another_version(tmp_path, now):
    scheme = _read(tmp_path, now, TEXT)
    assert [step.value for step in scheme.attributes[1].places] == ["too_little", "right", "too_much"]
    assert _read(tmp_path, now, TEXT).id == scheme.id
    assert _read(tmp_path, now, TEXT.replace("Warm", "Kind")).id != scheme.id


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "got list"),
        ("name: [", "got while parsing"),
        ("name: Big Name", "no name"),
        ("name: a\nattributes: [{name: x, title: X, kind: scale}]", "2 to 9 steps"),
        ("name: a\nattributes: [{name: x, title: X, steps: [{value: a, label: A}]}]", "only a scale declares steps"),
        ("name: a\nattributes: [{name: x, title: X}, {name: x, title: Y}]", "different names"),
        ("name: a\nattributes: [{name: overall, title: X}]", "none is called overall"),
        ("name: a\ntask: ranking\nattributes: [{name: x, title: X}]", "compares already"),
        ("name: a\ncolour: red", "colour"),
    ],
)
def test_a_scheme_that_cannot_be_asked_is_told(text, fault, tmp_path, now):
    with pytest.raises(InputError, match=fault):
        _read(tmp_path, now, text)


def test_a_file_that_is_not_there_is_told(tmp_path, now):
    with pytest.raises(InputError, match="No such file"):
        read_scheme(tmp_path / "none.yaml", now=now)


def test_without_a_scheme_the_plain_comparison_is_asked(workspace, now):
    assert stored_scheme(workspace.records, None, now=now).attributes == ()
    scheme = Scheme(name="a", created_at=now)
    workspace.records.put(scheme)
    assert stored_scheme(workspace.records, scheme.id, now=now) == scheme
