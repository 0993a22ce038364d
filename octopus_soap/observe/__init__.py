"""What a client reports while it works: events, counters, traces, health."""
