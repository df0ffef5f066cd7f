"""What tests of several packages share: a client that may break the rules, external tools, other brokers."""
