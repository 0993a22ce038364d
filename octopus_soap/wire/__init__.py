"""The wire: contract, encoding, decoding, faults, redaction. Bytes in, bytes out; nothing here does I/O."""
