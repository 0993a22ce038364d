"""Measure what the library costs, next to other SOAP clients and the parser alone.

Run `python -m benchmarks.run`.
"""
