"""Drivers: the only modules that send, sleep or run things side by side."""

from __future__ import annotations
