"""The life of a service's process: what it says at its end."""

import pytest

from chorus.common.service import EX_NOPERM, LASTING, Service, serve
from chorus.common.settings import CommonSettings


@pytest.mark.parametrize("code", [EX_NOPERM, 1])
async def test_what_only_a_person_can_mend_is_said_last_in_words(
    capsys: pytest.CaptureFixture[str], code: int
) -> None:
    async def build(service: Service, _: CommonSettings) -> None:
        service.fail("Switch it on.", code)
        service.fail("And this came of it.")

    assert await serve("part", CommonSettings(health_port=0), build) == code
    said = capsys.readouterr().err.splitlines()[-1:]
    assert (said == ["part cannot go on. Switch it on."]) == (code in LASTING)
