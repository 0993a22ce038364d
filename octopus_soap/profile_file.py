"""The path of the profile file.

The Tab key completes profiles without loading the settings, so this module imports nothing of the package.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def profiles_file() -> Path:
    """Return the path of the profile file."""
    if named := os.environ.get("OCTOPUS_PROFILES_FILE"):
        return Path(named).expanduser()
    return Path(_user_config_dir()) / "octopus-soap" / "profiles.toml"


def _user_config_dir() -> str:
    """Return the user's configuration folder, as platformdirs names it."""
    home, named = os.environ.get("HOME", ""), os.environ.get("XDG_CONFIG_HOME", "")
    usual = home.startswith("/") and (not named or (named.startswith("/") and named == named.strip()))
    if sys.platform == "linux" and usual and "ANDROID_ROOT" not in os.environ:
        return named or f"{home.rstrip('/')}/.config"
    from platformdirs import user_config_dir  # noqa: PLC0415 - slow to load, and the usual rule of Linux is above

    return user_config_dir()
