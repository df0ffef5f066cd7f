"""Shared subscriptions: which member of a group gets a message (MQTT 5.0, section 4.8.2).

Purpose. One `SharedGroup` stands for all subscriptions with one share name and one filter, and `SharedGroup.pick`
chooses one of them for each message.

Rules. A member that is offline is picked only when no other member is online. One that is excluded or barred counts as
though it were not in the group. Whether a member is online is asked of it at that moment; the group is not told of
changes.

Cost. Members are in a list that can be indexed; one that leaves is replaced by another member, without a shift.
Round robin and random look at one member while most are online. Least in flight looks at members until it
finds an idle one, at worst at all. The hash strategies remember the first choice for a thousand keys and look at all
members only for a new key, or while that first choice is offline.

Hash strategies. Rendezvous hashing: for each key every member has a score, and the highest score among the members
online wins. So when a member goes, only its own keys move, evenly to all others; when it is back, the same keys return,
in whatever order members joined, and after a restart also.

Deliberately absent: delivery, acknowledgement, and when to give a message that was not acknowledged to another member.
"""

from __future__ import annotations

import random
from enum import StrEnum
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

from mqttbroker.topics.subscriptions import Entry

__all__ = ["Member", "SharedGroup", "Strategy"]

# Draws before the random strategy looks at all members. With half of them offline, 1 pick in 256 comes to that.
_DRAWS = 8
# First choices that a group remembers under a hash strategy, and the longest key (in characters) it does so for.
_CHOICES = 1024
_CHOICE_LENGTH = 256
_MASK = 0xFFFF_FFFF_FFFF_FFFF


class Strategy(StrEnum):
    """How a group chooses; the values are those of the configuration."""

    ROUND_ROBIN = "round_robin"
    RANDOM = "random"
    LEAST_INFLIGHT = "least_inflight"
    HASH_CLIENT = "hash_client"
    HASH_TOPIC = "hash_topic"


class Member(Protocol):
    """What a group asks of its members, which must also be hashable (by identity is best)."""

    @property
    def online(self) -> bool:
        """Whether the member has a connection."""

    @property
    def load(self) -> int:
        """Messages in flight and queued."""

    @property
    def client_id(self) -> str:
        """Names the member; does not change while it is in the group."""


M = TypeVar("M", bound=Member)
S = TypeVar("S")


def _hash(text: str) -> int:
    """64 bits that are the same in every process, which Python's own hash of a string is not."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _score(seed: int, key: int) -> int:
    """Mix two hashes; not linear, so that the order of the members for one key says nothing of that for another."""
    mixed = ((seed ^ key) * 0x9E37_79B9_7F4A_7C15) & _MASK
    return ((mixed ^ (mixed >> 32)) * 0xD6E8_FEB8_6659_FD93) & _MASK


class SharedGroup(Entry, Generic[M, S]):
    """The members of one shared subscription, each with its entry (what it asked for when it subscribed).

    The attributes are for reading: members come and go through `add` and `remove`, and the strategy is for life.
    """

    __slots__ = (
        "_choices",
        "_next",
        "_order",
        "_places",
        "_rng",
        "_seeds",
        "members",
        "name",
        "strategy",
    )

    def __init__(self, name: str, topic_filter: str, strategy: Strategy, rng: random.Random) -> None:
        super().__init__(topic_filter, name)
        self.name = name
        self.strategy = strategy
        self.members: dict[M, S] = {}
        self._rng = rng
        # Members before _next have had their turn in this round, those from _next on have not.
        self._order: list[M] = []
        self._next = 0
        self._places: dict[M, int] = {}
        # Under a hash strategy: the hash of each member, and the first choice among all members for recent keys.
        self._seeds: dict[M, int] = {}
        self._choices: dict[str, M] = {}

    def __len__(self) -> int:
        """The number of members, online or not."""
        return len(self._order)

    def add(self, member: M, entry: S) -> S | None:
        """Add a member, which gets a turn in the running round, or replace its entry and return the former one."""
        former = self.members.get(member)
        self.members[member] = entry
        if member not in self._places:
            self._places[member] = len(self._order)
            self._order.append(member)
            if self.strategy is Strategy.HASH_CLIENT or self.strategy is Strategy.HASH_TOPIC:
                self._seeds[member] = _hash(member.client_id)
                self._choices.clear()
        return former

    def remove(self, member: M) -> S | None:
        """Remove a member and return its entry, None when it was not in the group. Takes the same time in any group."""
        place = self._places.pop(member, None)
        if place is None:
            return None
        if place < self._next:
            # The gap moves to the border, so that nobody who still has a turn ends up among those who have had it.
            self._next -= 1
            self._move(self._next, place)
            place = self._next
        self._move(len(self._order) - 1, place)
        self._order.pop()
        self._seeds.pop(member, None)
        self._choices.clear()
        return self.members.pop(member)

    def _move(self, source: int, target: int) -> None:
        if source != target:
            member = self._order[source]
            self._order[target] = member
            self._places[member] = target

    def pick(
        self, publisher_client_id: str, topic: str, exclude: M | None = None, barred: set[M] | None = None
    ) -> tuple[M, S] | None:
        """Choose a member for a message; None when there is none but ``exclude`` and those in ``barred``.

        ``barred`` is for asking again: a caller that cannot use the member it was given puts it there, and so gets
        through the group under any strategy.
        """
        if exclude is not None:
            barred = {exclude} if barred is None else barred | {exclude}
        strategy = self.strategy
        if strategy is Strategy.ROUND_ROBIN:
            member = self._pick_in_turn(barred)
        elif strategy is Strategy.RANDOM:
            member = self._pick_random(barred)
        elif strategy is Strategy.LEAST_INFLIGHT:
            member = self._pick_least_loaded(barred)
        elif strategy is Strategy.HASH_CLIENT:
            member = self._pick_by_hash(publisher_client_id, barred)
        else:
            member = self._pick_by_hash(topic, barred)
        return None if member is None else (member, self.members[member])

    def _pick_in_turn(self, barred: set[M] | None) -> M | None:
        order = self._order
        size = len(order)
        spare = -1
        for step in range(size):
            place = self._next + step
            if place >= size:
                place -= size
            member = order[place]
            if barred is not None and member in barred:
                continue
            if member.online:
                self._next = place + 1
                return member
            if spare < 0:
                spare = place
        if spare < 0:
            return None
        self._next = spare + 1
        return order[spare]

    def _pick_random(self, barred: set[M] | None) -> M | None:
        order = self._order
        size = len(order)
        if size > 0:
            for _ in range(_DRAWS):
                member = order[int(self._rng.random() * size)]
                if member.online and (barred is None or member not in barred):
                    return member
        candidates = order if barred is None else [member for member in order if member not in barred]
        online = [member for member in candidates if member.online]
        if online:
            return self._rng.choice(online)
        return self._rng.choice(candidates) if candidates else None

    def _pick_least_loaded(self, barred: set[M] | None) -> M | None:
        # Equals take turns: the look goes round from the one after the last chosen, and the first of the lowest wins.
        order = self._order
        size = len(order)
        best = -1
        best_online = False
        best_load = 0
        for step in range(size):
            place = self._next + step
            if place >= size:
                place -= size
            member = order[place]
            if barred is not None and member in barred:
                continue
            online = member.online
            if best_online and not online:
                continue
            load = member.load
            if best < 0 or load < best_load or (online and not best_online):
                best, best_online, best_load = place, online, load
                if online and load == 0:
                    break
        if best < 0:
            return None
        self._next = best + 1
        return order[best]

    def _pick_by_hash(self, key: str, barred: set[M] | None) -> M | None:
        choice = self._choices.get(key)
        if choice is None:
            choice = self._highest(key, None, False)
            if choice is None:
                return None
            if len(key) <= _CHOICE_LENGTH:
                if len(self._choices) >= _CHOICES:
                    self._choices.clear()
                self._choices[key] = choice
        # The highest of all members, while online, is the highest of those online.
        if choice.online and (barred is None or choice not in barred):
            return choice
        online = self._highest(key, barred, True)
        return self._highest(key, barred, False) if online is None else online

    def _highest(self, key: str, barred: set[M] | None, online_only: bool) -> M | None:
        key_hash = _hash(key)
        best: M | None = None
        best_score = -1
        for member, seed in self._seeds.items():
            if (barred is not None and member in barred) or (online_only and not member.online):
                continue
            score = _score(seed, key_hash)
            if score > best_score:
                best, best_score = member, score
        return best
