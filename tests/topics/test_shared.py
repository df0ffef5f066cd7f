"""Shared groups: who is picked, and who is never picked (section 4.8.2)."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.topics import SharedGroup, Strategy
from mqttbroker.topics import shared as shared_module
from tests.topics.strategies import MANY

Group = SharedGroup["Client", str]


class Client:
    """A member."""

    def __init__(self, client_id: str, online: bool = True, load: int = 0) -> None:
        self.client_id = client_id
        self.online = online
        self.load = load

    def __repr__(self) -> str:
        return f"{self.client_id}{'' if self.online else ' (offline)'}"


def group_of(strategy: Strategy, *clients: Client) -> Group:
    """A group with these members."""
    group: Group = SharedGroup("g", "a/#", strategy, random.Random(1))
    for client in clients:
        group.add(client, f"entry of {client.client_id}")
    return group


def clients_of(count: int) -> list[Client]:
    """Members that are online and idle."""
    return [Client(f"client-{number}") for number in range(count)]


def pick(group: Group, topic: str = "a/b", publisher: str = "publisher") -> Client:
    """Pick from a group that has somebody to pick."""
    picked = group.pick(publisher, topic)
    assert picked is not None
    return picked[0]


every_strategy = pytest.mark.parametrize("strategy", list(Strategy), ids=[strategy.value for strategy in Strategy])
hash_strategies = pytest.mark.parametrize(
    "strategy", [Strategy.HASH_CLIENT, Strategy.HASH_TOPIC], ids=["hash_client", "hash_topic"]
)


def keyed(group: Group, key: int) -> Client:
    """Pick by a key, whichever of the two hash strategies it is."""
    if group.strategy is Strategy.HASH_TOPIC:
        return pick(group, topic=f"a/{key}")
    return pick(group, publisher=f"publisher-{key}")


@every_strategy
class TestEveryStrategy:
    """What holds whatever the strategy."""

    def test_an_empty_group(self, strategy: Strategy) -> None:
        group = group_of(strategy)
        assert len(group) == 0
        assert group.pick("publisher", "a/b") is None

    def test_one_member(self, strategy: Strategy) -> None:
        client = Client("one")
        group = group_of(strategy, client)
        assert (group.name, group.topic_filter, group.strategy, len(group)) == ("g", "a/#", strategy, 1)
        assert group.pick("publisher", "a/b") == (client, "entry of one")

    def test_adding_again_replaces_the_entry(self, strategy: Strategy) -> None:
        client = Client("one")
        group: Group = SharedGroup("g", "a/#", strategy, random.Random(1))
        assert group.add(client, "first") is None
        assert group.add(client, "second") == "first"
        assert len(group) == 1
        assert group.pick("publisher", "a/b") == (client, "second")

    def test_removal(self, strategy: Strategy) -> None:
        clients = clients_of(3)
        group = group_of(strategy, *clients)
        assert group.remove(clients[1]) == "entry of client-1"
        assert group.remove(clients[1]) is None
        assert len(group) == 2
        assert clients[1] not in {keyed(group, key) for key in range(50)}
        assert group.remove(clients[0]) == "entry of client-0"
        assert {keyed(group, key) for key in range(50)} == {clients[2]}
        assert group.remove(clients[2]) == "entry of client-2"
        assert group.pick("publisher", "a/b") is None
        assert group.members == {}

    def test_an_offline_member_when_nobody_is_online(self, strategy: Strategy) -> None:
        clients = clients_of(3)
        group = group_of(strategy, *clients)
        for client in clients:
            client.online = False
        assert {keyed(group, key) for key in range(200)} <= set(clients)
        assert group.pick("publisher", "a/b", exclude=clients[0]) is not None

    def test_exclude(self, strategy: Strategy) -> None:
        clients = clients_of(3)
        group = group_of(strategy, *clients)
        for key in range(200):
            picked = group.pick(f"publisher-{key}", f"a/{key}", exclude=clients[key % 3])
            assert picked is not None
            assert picked[0] is not clients[key % 3]

    def test_nobody_but_the_excluded(self, strategy: Strategy) -> None:
        for online in [True, False]:
            client = Client("one", online)
            group = group_of(strategy, client)
            assert group.pick("publisher", "a/b", exclude=client) is None

    def test_barring_leads_through_the_whole_group(self, strategy: Strategy) -> None:
        clients = clients_of(20)
        for client in clients[10:]:
            client.online = False
        group = group_of(strategy, *clients)
        barred: set[Client] = set()
        order: list[Client] = []
        while (picked := group.pick("publisher", "a/b", exclude=clients[0], barred=barred)) is not None:
            order.append(picked[0])
            barred.add(picked[0])
        assert set(order) == set(clients[1:])
        assert len(order) == 19
        assert all(client.online for client in order[:9])
        assert clients[0] not in barred

    @given(
        st.lists(
            st.tuples(st.sampled_from(["add", "remove", "online", "offline", "load", "pick"]), st.integers(0, 5)),
            max_size=60,
        ),
        st.sampled_from([None, 0, 3]),
    )
    @MANY
    def test_any_changes(self, strategy: Strategy, steps: list[tuple[str, int]], excluded: int | None) -> None:
        clients = clients_of(6)
        exclude = None if excluded is None else clients[excluded]
        group = group_of(strategy)
        members: dict[Client, str] = {}
        for number, (step, which) in enumerate(steps):
            client = clients[which]
            if step == "add":
                assert group.add(client, str(number)) == members.get(client)
                members[client] = str(number)
            elif step == "remove":
                assert group.remove(client) == members.pop(client, None)
            elif step == "load":
                client.load = number
            elif step == "pick":
                picked = group.pick(f"publisher-{which}", f"a/{number}", exclude)
                candidates = [member for member in members if member is not exclude]
                online = [member for member in candidates if member.online]
                if picked is None:
                    assert not candidates
                else:
                    assert picked[0] in (online or candidates)
                    assert picked[1] == members[picked[0]]
            else:
                client.online = step == "online"
            assert group.members == members
            assert len(group) == len(members)


class TestRoundRobin:
    """Everybody in turn."""

    def test_in_turn(self) -> None:
        clients = clients_of(4)
        group = group_of(Strategy.ROUND_ROBIN, *clients)
        assert [pick(group) for _ in range(10)] == (clients * 3)[:10]

    def test_offline_members_are_passed_over(self) -> None:
        clients = clients_of(4)
        clients[0].online = clients[2].online = False
        group = group_of(Strategy.ROUND_ROBIN, *clients)
        assert [pick(group) for _ in range(4)] == [clients[1], clients[3], clients[1], clients[3]]

    def test_offline_members_in_turn_when_nobody_is_online(self) -> None:
        clients = clients_of(3)
        for client in clients:
            client.online = False
        group = group_of(Strategy.ROUND_ROBIN, *clients)
        assert [pick(group) for _ in range(6)] == clients * 2

    @pytest.mark.parametrize("taken", range(5), ids=lambda taken: f"after-{taken}")
    @pytest.mark.parametrize("leaver", range(5), ids=lambda leaver: f"leaver-{leaver}")
    def test_who_has_a_turn_keeps_it_when_another_leaves(self, taken: int, leaver: int) -> None:
        clients = clients_of(5)
        group = group_of(Strategy.ROUND_ROBIN, *clients)
        had_a_turn = [pick(group) for _ in range(taken)]
        group.remove(clients[leaver])
        waiting = [client for client in clients if client not in had_a_turn and client is not clients[leaver]]
        assert {pick(group) for _ in waiting} == set(waiting)
        assert {pick(group) for _ in range(4)} == set(clients) - {clients[leaver]}

    def test_who_joins_gets_a_turn_in_the_running_round(self) -> None:
        clients = clients_of(3)
        group = group_of(Strategy.ROUND_ROBIN, *clients[:2])
        assert [pick(group), pick(group)] == clients[:2]
        group.add(clients[2], "entry")
        assert [pick(group) for _ in range(4)] == [clients[2], *clients]

    @given(st.lists(st.tuples(st.sampled_from(["pick", "pick", "pick", "join", "leave"]), st.integers(0, 100))))
    @MANY
    def test_those_who_stay_are_never_more_than_one_apart(self, steps: list[tuple[str, int]]) -> None:
        stayers = clients_of(4)
        group = group_of(Strategy.ROUND_ROBIN, *stayers)
        guests: list[Client] = []
        turns = Counter({client: 0 for client in stayers})
        for step, number in steps:
            if step == "join":
                guests.append(Client(f"guest-{number}"))
                group.add(guests[-1], "entry")
            elif step == "leave":
                if guests:
                    group.remove(guests.pop(number % len(guests)))
            else:
                turns[pick(group)] += 1
            counts = [turns[client] for client in stayers]
            assert max(counts) - min(counts) <= 1

    def test_a_pick_looks_at_one_member(self) -> None:
        looks = Counter[str]()

        class Counted(Client):
            """Counts how often it is asked."""

            @property
            def online(self) -> bool:
                looks["online"] += 1
                return True

            @online.setter
            def online(self, value: bool) -> None:
                pass

        for strategy in Strategy:
            group = group_of(strategy, *[Counted(f"client-{number}") for number in range(1_000)])
            for _ in range(100):
                pick(group)
            assert looks.pop("online") == 100


class TestRandom:
    """Everybody with the same chance."""

    def test_even(self) -> None:
        clients = clients_of(4)
        group = group_of(Strategy.RANDOM, *clients)
        turns = Counter(pick(group) for _ in range(4_000))
        assert all(900 < turns[client] < 1_100 for client in clients)

    def test_even_among_the_few_that_are_online(self) -> None:
        clients = clients_of(200)
        for client in clients[4:]:
            client.online = False
        group = group_of(Strategy.RANDOM, *clients)
        turns = Counter(pick(group) for _ in range(4_000))
        assert len(turns) == 4
        assert all(900 < turns[client] < 1_100 for client in clients[:4])

    def test_the_generator_decides(self) -> None:
        clients = clients_of(10)
        one, other = group_of(Strategy.RANDOM, *clients), group_of(Strategy.RANDOM, *clients)
        assert [pick(one) for _ in range(20)] == [pick(other) for _ in range(20)]


class TestLeastInflight:
    """The one with the least to do."""

    def test_the_least_loaded(self) -> None:
        clients = [Client("a", load=3), Client("b", load=1), Client("c", load=2)]
        group = group_of(Strategy.LEAST_INFLIGHT, *clients)
        assert pick(group) is clients[1]
        clients[1].load = 4
        assert pick(group) is clients[2]

    def test_an_idle_offline_member_is_not_picked(self) -> None:
        clients = [Client("a", online=False), Client("b", load=5), Client("c", online=False)]
        group = group_of(Strategy.LEAST_INFLIGHT, *clients)
        assert pick(group) is clients[1]
        clients[1].online = False
        clients[0].load = 1
        assert pick(group) is clients[2]

    def test_equals_take_turns(self) -> None:
        for load in [0, 7]:
            clients = [Client("a", load=load), Client("b", load=load), Client("c", load=load)]
            group = group_of(Strategy.LEAST_INFLIGHT, *clients)
            assert [pick(group) for _ in range(7)] == [*clients, *clients, clients[0]]

    def test_load_evens_out(self) -> None:
        clients = [Client("a", load=6), Client("b"), Client("c", load=2)]
        group = group_of(Strategy.LEAST_INFLIGHT, *clients)
        for _ in range(10):
            pick(group).load += 1
        assert sorted(client.load for client in clients) == [6, 6, 6]


@hash_strategies
class TestHash:
    """The same key to the same member, for as long as that is possible."""

    KEYS = range(2_000)

    def choices(self, group: Group) -> dict[int, Client]:
        """The member for every key."""
        return {key: keyed(group, key) for key in self.KEYS}

    def test_even(self, strategy: Strategy) -> None:
        clients = clients_of(10)
        turns = Counter(self.choices(group_of(strategy, *clients)).values())
        assert all(150 < turns[client] < 250 for client in clients)

    def test_only_the_key_of_the_strategy_counts(self, strategy: Strategy) -> None:
        group = group_of(strategy, *clients_of(50))
        by_topic = {pick(group, topic=f"a/{key}") for key in range(100)}
        by_publisher = {pick(group, publisher=f"publisher-{key}") for key in range(100)}
        assert (len(by_topic) > 1) is (strategy is Strategy.HASH_TOPIC)
        assert (len(by_publisher) > 1) is (strategy is Strategy.HASH_CLIENT)

    def test_the_order_of_joining_does_not_count(self, strategy: Strategy) -> None:
        clients = clients_of(10)
        assert self.choices(group_of(strategy, *clients)) == self.choices(group_of(strategy, *reversed(clients)))

    def test_a_leaver_moves_only_its_own_keys(self, strategy: Strategy) -> None:
        clients = clients_of(10)
        group = group_of(strategy, *clients)
        before = self.choices(group)
        group.remove(clients[3])
        after = self.choices(group)
        assert {before[key] for key in self.KEYS if before[key] is not after[key]} == {clients[3]}
        moved = Counter(after[key] for key in self.KEYS if before[key] is clients[3])
        assert len(moved) == 9

    def test_a_joiner_takes_only_keys_for_itself(self, strategy: Strategy) -> None:
        clients = clients_of(10)
        group = group_of(strategy, *clients[:9])
        before = self.choices(group)
        group.add(clients[9], "entry")
        after = self.choices(group)
        assert {after[key] for key in self.KEYS if before[key] is not after[key]} == {clients[9]}

    def test_offline_is_like_gone_and_online_like_never_gone(self, strategy: Strategy) -> None:
        clients = clients_of(10)
        group = group_of(strategy, *clients)
        before = self.choices(group)
        clients[3].online = False
        during = self.choices(group)
        assert during == self.choices(group_of(strategy, *clients[:3], *clients[4:]))
        clients[3].online = True
        assert self.choices(group) == before

    def test_keys_stay_where_they_are_when_nobody_is_online(self, strategy: Strategy) -> None:
        clients = clients_of(10)
        group = group_of(strategy, *clients)
        before = self.choices(group)
        for client in clients:
            client.online = False
        assert self.choices(group) == before

    def test_what_is_remembered_is_bounded(self, strategy: Strategy) -> None:
        group = group_of(strategy, *clients_of(3))
        expected = keyed(group, 0)
        for key in range(3_000):
            keyed(group, key)
            assert len(group._choices) <= shared_module._CHOICES
        assert keyed(group, 0) is expected
        long = "a/" * 1_000
        first = pick(group, topic=long, publisher=long)
        assert pick(group, topic=long, publisher=long) is first
        assert long not in group._choices


def test_hashes_are_the_same_everywhere() -> None:
    # Values from `b2sum -l 64`; with others, a restart after an upgrade would move keys.
    assert shared_module._hash("") == int.from_bytes(bytes.fromhex("e4a6a0577479b2b4"), "little")
    clients = [Client(client_id) for client_id in ["alpha", "beta", "gamma"]]
    group = group_of(Strategy.HASH_TOPIC, *clients)
    chosen = [pick(group, topic=f"a/{key}").client_id for key in range(100, 108)]
    assert chosen == ["gamma", "gamma", "alpha", "alpha", "gamma", "beta", "alpha", "alpha"]
