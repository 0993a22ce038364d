"""What the library costs, beside other SOAP clients and the parser's own speed: `python -m benchmarks.run`."""
