"""The topic tree level by level: held against what a list of topics says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.topics import TopicTree

TOPICS = st.lists(st.sampled_from(["", "a", "b", "$"]), min_size=1, max_size=4).map("/".join)
PREFIXES = st.lists(st.sampled_from(["", "a", "b", "$"]), max_size=4).map(
    lambda levels: "".join(f"{e}/" for e in levels)
)


@given(st.lists(TOPICS), st.lists(TOPICS), PREFIXES)
def test_levels(added: list[str], removed: list[str], prefix: str) -> None:
    tree: TopicTree[int] = TopicTree()
    for topic in added:
        tree.set(topic, 1)
    for topic in removed:
        tree.pop(topic)
    left = set(added) - set(removed)
    names = tree.level_names(prefix)
    assert len(names) == len(set(names))
    assert set(names) == {topic[len(prefix) :].split("/")[0] for topic in left if topic.startswith(prefix)}
    for name in (*names, "c"):
        topic = prefix + name
        assert tree.goes_on(topic) == any(each.startswith(topic + "/") for each in left)
