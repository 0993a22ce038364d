"""`python -m octopus_soap` is `octopus-soap`."""

from __future__ import annotations

from octopus_soap.cli import main

if __name__ == "__main__":
    main()
