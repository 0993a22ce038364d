"""The reports of a client while it works: events, counters, traces, health."""
