"""Topic names, filters, the subscription tree, the topic tree, shared groups and cached routes.

Pure data structures: nothing here knows of packets, sessions, connections, time or I/O.
"""

from mqttbroker.topics.names import (
    InvalidTopicFilter,
    InvalidTopicName,
    check_topic_filter,
    check_topic_name,
    filter_matches,
    filters_overlap,
    is_wildcard,
    split_share,
)
from mqttbroker.topics.routes import CachedRoute, RouteCache
from mqttbroker.topics.shared import Member, SharedGroup, Strategy
from mqttbroker.topics.subscriptions import Entry, SubscriptionTree
from mqttbroker.topics.topic_tree import TopicTree

__all__ = [
    "CachedRoute",
    "Entry",
    "InvalidTopicFilter",
    "InvalidTopicName",
    "Member",
    "RouteCache",
    "SharedGroup",
    "Strategy",
    "SubscriptionTree",
    "TopicTree",
    "check_topic_filter",
    "check_topic_name",
    "filter_matches",
    "filters_overlap",
    "is_wildcard",
    "split_share",
]
