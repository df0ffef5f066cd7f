"""What has brought other brokers down, and what anybody may send: nobody but the sender may notice."""
