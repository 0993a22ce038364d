"""The participants: each does the tasks `decode`, `encode`, `call`, `exist`, `bulk`, `construct` in its own way."""
