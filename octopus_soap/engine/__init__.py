"""The engine: one call as pure generators, which yield what they want done.

Nothing here sends, sleeps or reads a clock; the drivers in `octopus_soap.transport` do.
"""
