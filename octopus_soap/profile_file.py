"""Where the profile file is. A leaf, so that the Tab key can complete profiles without loading the settings."""

from __future__ import annotations

import os
from pathlib import Path


def profiles_file() -> Path:
    """Return the path of the profile file."""
    if named := os.environ.get("OCTOPUS_PROFILES_FILE"):
        return Path(named).expanduser()
    from platformdirs import user_config_dir  # noqa: PLC0415 - only if no variable names the file

    return Path(user_config_dir("octopus-soap")) / "profiles.toml"
