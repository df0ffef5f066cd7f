"""Where rules are in a text, held against texts of which that is known."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.security import check_rules, parse_rules
from mqttbroker.security.rule_lines import find_lines

RULE = 'who = "a"\naction = "both"\ntopics = ["#"]\neffect = "allow"\n'
NOISE = (
    "# [[rules]]\n",
    "\n",
    "  # who = 1\n",
    "\t\n",
)
WHO = (
    'who = "a"\n',
    "who = 'a'\n",
    'who = ["a", # "]"\n  "[[rules]]",\n]\n',
    '"who" = """\n[[rules]]\nwho"""\n',
    "who = '''it's\n[[rules]]'''\n",
    '  who="\\"#[["   # [[rules]]\n',
)
HEADERS = ("[[rules]]\n", "  [[ rules ]] # [[\n", '[["rules"]]\n', "[['rules']]\r\n")


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, int]]]:
    """A text of rules; and of each rule its first line, the line of ``who``, and its last line."""
    text = ""
    places = []
    for _ in range(draw(st.integers(0, 5))):
        text += "".join(draw(st.lists(st.sampled_from(NOISE), max_size=3)))
        first = text.count("\n") + 1
        text += draw(st.sampled_from(HEADERS))
        text += "".join(draw(st.lists(st.sampled_from(NOISE), max_size=2)))
        who = text.count("\n") + 1
        text += draw(st.sampled_from(WHO))
        text += "".join(draw(st.lists(st.sampled_from(NOISE), max_size=2)))
        text += 'action = "both"\ntopics = ["#"]\neffect = "allow"\n'
        places.append((first, who, text.count("\n")))
    return text, places


@given(texts())
def test_lines_of_rules(made: tuple[str, list[tuple[int, int, int]]]) -> None:
    text, places = made
    assert len(tomllib.loads(text).get("rules", [])) == len(places)
    found = find_lines(text)
    assert [(each.first, each.keys["who"], each.last) for each in found.rules] == places


def test_lines_of_a_list() -> None:
    text = (
        'rules = [\n  {who = "a", action = "both",\n   topics = ["#"], effect = "allow"},\n  # {\n  {who = "b"},\n]\n'
    )
    found = find_lines(text.replace('"both",\n', '"both", '))
    assert [(each.first, each.last) for each in found.rules] == [(2, 2), (4, 4)]


@given(st.text(alphabet="rules[]{}=\"'#,\n\\ a1.", max_size=80))
def test_anything_else_is_no_error(text: str) -> None:
    find_lines(text)
    check_rules(text, "acl.toml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[rules]]\n" + RULE.replace("both", "all"), 3),
        ("[[rules]]\n" + RULE.replace('["#"]', '["a#"]'), 4),
        ("[[rules]]\n" + RULE.replace('["#"]', "[]"), 4),
        ("[[rules]]\n" + RULE.replace('["#"]', '[\n"a", 1]'), 4),
        ("\n[[rules]]\n" + RULE.replace("topics", "topcis"), 5),
        ("\n\n[[rules]]\n" + RULE.replace('who = "a"\n', ""), 3),
        ("# Rules\nrule = 1\n", 2),
        ("# Rules\nrules = 1\n", 2),
        ("\n[rules]\nwho = 1\n", 2),
        ("[[rules]]\nwho = \n", 2),
        ("[[rules]]\nwho = [\n", 2),
    ],
)
def test_line_of_a_mistake(text: str, line: int) -> None:
    _, (problem, *_) = check_rules(text, "acl.toml")
    assert problem.line == line


def test_one_mistake_of_each_rule() -> None:
    text = "".join(
        f"[[rules]]\n{each}" for each in (RULE.replace("both", "all"), RULE, RULE.replace("effect", "efect"))
    )
    rules, problems = check_rules(text, "acl.toml")
    assert [rule.number for rule in rules] == [2]
    assert [(each.place, each.line) for each in problems] == [("rule 1, action", 3), ("rule 3, efect", 15)]


def test_rules_know_their_lines() -> None:
    rules = parse_rules(f"# Ours\n\n[[rules]]\n{RULE}\n[[rules]]\n{RULE}", "acl.toml")
    assert [(each.line, each.last_line) for each in rules] == [(3, 7), (9, 13)]
