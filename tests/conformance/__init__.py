"""Every numbered statement of the two standards, held against a running broker over real sockets."""
