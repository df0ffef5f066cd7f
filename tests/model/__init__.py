"""The whole broker, without sockets, against a model of dictionaries and lists."""
