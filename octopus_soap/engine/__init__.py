"""The engine: calls as pure generators, which yield the effects they need.

Nothing here sends, sleeps or reads a clock; the drivers in `octopus_soap.transport` do.
"""
