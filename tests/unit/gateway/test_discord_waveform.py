"""How loud a voice message is in the course of it."""

import base64

import pytest

from chorus.gateway.frontends.discord.voice_message import waveform
from tests.support.sounds import tone


@pytest.mark.parametrize(("seconds", "points"), [(0.02, 1), (0.5, 5), (30.0, 256)])
def test_it_has_a_point_for_each_tenth_of_a_second_and_at_most_256(seconds: float, points: int) -> None:
    assert len(base64.b64decode(waveform(tone(440, seconds)))) in (points, points + 1)


def test_silence_is_low_and_a_tone_is_high() -> None:
    points = base64.b64decode(waveform(tone(440, 1.0, silent=1.0)))
    assert max(points) == 255
    assert max(points[:9]) < min(points[11:])
