"""Requests to bytes and replies to values; nothing here does I/O."""
