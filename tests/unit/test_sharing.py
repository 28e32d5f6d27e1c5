"""Which tests share a process: what would start something twice does not."""

import pytest

from tests.support.sharing import group_of


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("tests/e2e/test_client.py::test_the_example_runs", "chorus"),
        ("tests/integration/test_inference.py::test_x[a::b/c]", "chorus"),
        ("tests/e2e/test_stop.py::test_stopped_while_starting[9]", "tests/e2e/test_stop.py"),
        ("tests/integration/test_state.py::test_keys_of_one_guild", "tests/integration/test_state.py"),
        ("tests/unit/test_sharing.py::test_x", "tests/unit/test_sharing.py::test_x"),
    ],
)
def test_a_test_is_in_the_group_of_what_it_uses(test: str, group: str) -> None:
    assert group_of(test) == group
