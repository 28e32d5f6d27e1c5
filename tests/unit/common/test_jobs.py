"""How long a message waits before it is tried again."""

from chorus.common.bus.jobs import LONGEST_DELAY, delay_after


def test_each_failure_doubles_the_delay_up_to_a_limit() -> None:
    assert [delay_after(failures) for failures in (1, 2, 3)] == [2.0, 4.0, 8.0]
    assert delay_after(9) == LONGEST_DELAY
    assert delay_after(5000) == LONGEST_DELAY, "a message may come back for as long as an outage lasts"
