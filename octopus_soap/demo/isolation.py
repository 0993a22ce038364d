"""Settings for the embedded service alone: nothing of the user's environment, .env or profile file gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octopus_soap.settings import OctopusSettings

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


class IsolatedSettings(OctopusSettings):
    """Settings from arguments only: a demo or a test must not send a real account id, nor use a real contract."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, and nothing else."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
