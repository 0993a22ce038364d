"""Certificates are verified; a CA bundle allows a proxy that inspects TLS."""

import pytest
from octopia_stage import Caller

from octopus_soap.octopia import OctopiaSettings, OctopiaTlsError
from octopus_soap.octopia.fake import FakeOctopia


def settings(server: FakeOctopia, **more) -> OctopiaSettings:
    def secure(url: str) -> str:
        return url.replace("http:", "https:")

    return OctopiaSettings(token_url=secure(server.token_url), api_url=secure(server.api_url), **more)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_unknown_authority_is_refused_once_with_the_right_remedy_named(credentials, inspected, timer, mode):
    caller = Caller(mode, credentials, settings(inspected), timer)
    with pytest.raises(OctopiaTlsError, match="CA bundle") as raised:
        caller("seller")
    caller.close()
    assert "cannot be turned off" in str(raised.value)
    assert timer.slept == []
    assert inspected.service.recorded == []


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_ca_bundle_makes_it_work(credentials, inspected, timer, mode, certificate):
    caller = Caller(mode, credentials, settings(inspected, verify=certificate[0]), timer)
    assert caller("seller").seller_id == "55501"
    caller.close()
