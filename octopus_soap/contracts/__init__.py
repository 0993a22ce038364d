"""The contract: read from a WSDL, shipped, pinned and compared."""
