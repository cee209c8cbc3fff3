"""Profile: settings have one version whoever chose them, and never lie below the floor."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from assay.records.profile import CAUTIONS, TOPICS, Floor, Settings, is_higher, raised

CAUTION = st.sampled_from(CAUTIONS)
AVOIDED = st.sets(st.sampled_from(TOPICS)).map(lambda some: tuple(topic for topic in TOPICS if topic in some))


def test_a_version_is_that_of_the_settings():
    assert Settings().version == Settings(caution="usual").version != Settings(caution="strict").version
    assert len(Settings().version) == 12


@given(CAUTION, AVOIDED, CAUTION, AVOIDED)
def test_raised_settings_lie_at_or_above_both_what_was_chosen_and_the_floor(chosen, avoided, least, forbidden):
    floor = Floor(caution=least, avoided=forbidden, by="eve", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    settings = Settings(caution=chosen, avoided=avoided, tone="warm")
    lifted = raised(settings, floor)
    assert CAUTIONS.index(lifted.caution) == max(CAUTIONS.index(chosen), CAUTIONS.index(least))
    assert set(lifted.avoided) == {*avoided, *forbidden} and lifted.tone == "warm"
    assert raised(lifted, floor) == lifted
    assert raised(settings, None) == settings


@given(CAUTION, AVOIDED, CAUTION, AVOIDED)
def test_a_floor_is_higher_only_where_it_is_nowhere_lower(one, topics, other, more):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    before = Floor(caution=one, avoided=topics, by="eve", created_at=now)
    after = Floor(caution=other, avoided=more, by="eve", created_at=now)
    assert is_higher(after, None) and is_higher(before, before)
    assert is_higher(after, before) == (CAUTIONS.index(other) >= CAUTIONS.index(one) and set(topics) <= set(more))
