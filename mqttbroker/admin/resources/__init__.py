"""The endpoints of the HTTP API that show and change what the broker holds: clients, sessions, subscriptions, messages
and events.
"""
