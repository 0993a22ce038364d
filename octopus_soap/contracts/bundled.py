"""Where the contract that ships with this package lies on disk.

The build copies the checkout's ``wsdl/`` folder into the wheel as ``octopus_soap/wsdl/``; a checkout (and an editable
install of one) has it beside the package instead. Nothing else in the package knows about the two places.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

# In order: what the wheel carries, then what a checkout has.
PLACES = (_PACKAGE / "wsdl", _PACKAGE.parent / "wsdl")

CONTRACT_NAME = "OctopusService.wsdl"


def contract_path() -> Path:
    """Return the path of the bundled ``OctopusService.wsdl``; its schemas lie in the same folder.

    Raises:
        FileNotFoundError: The package was installed without its contract; the message names the places looked at.
    """
    for place in PLACES:
        candidate = place / CONTRACT_NAME
        if candidate.is_file():
            return candidate
    looked = " and ".join(str(place) for place in PLACES)
    raise FileNotFoundError(
        f"{CONTRACT_NAME} is missing from this installation of octopus-soap: looked in {looked}. "
        "Reinstall the package, or pass wsdl= with a contract of your own."
    )


@cache
def operation_names() -> frozenset[str]:
    """Return the wire names of the operations that the bundled contract declares."""
    return frozenset(re.findall(r'<wsdl:operation name="(\w+)"', contract_path().read_text(encoding="utf-8")))
