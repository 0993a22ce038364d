"""The engine: what a call does, as pure generators that yield what they want done.

Nothing here sends, sleeps or reads a clock.
"""
