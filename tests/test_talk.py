"""What commands say to people."""

import pytest

from flows.talk import say


def test_what_would_steer_a_terminal_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    say("there is no run \x1b[2Jlatest;\nsee `campaign runs`")
    assert capsys.readouterr().err == "there is no run [U+001B][2Jlatest;\nsee `campaign runs`\n"
