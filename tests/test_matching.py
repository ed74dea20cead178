"""Which attempt made which prediction: a table of cases, then properties over many small worlds."""

import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_support import CDN, NOON, OTHER_CDN, believed, edit_body, lost, seconds, seen, upload

from blocks.ledger import Adopt, AttemptRow, Decision, Hold, Reply, SendAgain
from blocks.wavespeed import ClockSkew, Prediction
from tasks.paying.likeness import Likeness, likeness
from tasks.paying.matching import CLOSE_SECONDS, FAR_SECONDS, Rules, decide
from tasks.paying.silence import Wait

TIMEOUT = 60.0
RULES = Rules(quiet=30, deadline=3600, skew=ClockSkew(low=-1, high=1, known=True))
QUIET = TIMEOUT + 30
EARLY, LATE = 20.0, 120.0  # before and after the request's time-out and the quiet period
OURS = edit_body()
KEPT_NAME = OURS | {"image": upload("a", OTHER_CDN)}
NEW_NAME = OURS | {"image": f"{OTHER_CDN}/copy-0001.png"}
OTHER_FILE = OURS | {"image": upload("b")}
OTHER_WORDS = OURS | {"prompt": "cold"}
VIDEO = {"prompt": "snow", "keep_original_sound": True, "video": f"{CDN}/{'c' * 64}.mp4", "images": []}


@dataclass
class Case:
    """What is decided ``at`` seconds after noon. ``expected`` names a prediction, "hold", "again" or None."""

    name: str
    attempts: list[AttemptRow]
    history: list[Prediction]
    expected: dict[int, str | None]
    at: float = LATE
    rules: Rules = RULES

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def decisions_of(
    attempts: list[AttemptRow], history: list[Prediction], at: float = LATE, rules: Rules = RULES
) -> list[Decision]:
    """What is decided where the history's silence can be believed; who waits is left out."""
    decided = decide(attempts, history, NOON + seconds(at), rules, believed(attempts))
    return [one for one in decided if not isinstance(one, Wait)]


def said(attempts: list[AttemptRow], history: list[Prediction], at: float, rules: Rules) -> dict[int, str]:
    named = {}
    for decision in decisions_of(attempts, history, at, rules):
        assert decision.attempt_id not in named
        match decision:
            case Adopt():
                named[decision.attempt_id] = decision.prediction_id
            case Hold():
                named[decision.attempt_id] = "hold"
            case SendAgain():
                named[decision.attempt_id] = "again"
    return named


ONE_PNG = ("https://cdn.example.org/1.png",)
ECHOING = [
    Case("the very inputs", [lost()], [seen(echo=OURS)], {1: "p1"}),
    Case(
        "the very inputs before it has ended",
        [lost()],
        [seen(echo=OURS, status="processing")],
        {1: "p1"},
        EARLY,
    ),
    Case("the very inputs of one that failed", [lost()], [seen(echo=OURS, status="failed")], {1: "p1"}),
    Case("no list where one picture is", [lost()], [seen(echo=OURS | {"image": [OURS["image"]]})], {1: "p1"}),
    Case(
        "only some settings are shown",
        [lost()],
        [seen(echo={"prompt": "warm", "image": OURS["image"]})],
        {1: "p1"},
    ),
    Case("more is shown than was sent", [lost()], [seen(echo=OURS | {"seed": 7, "sync": False})], {1: "p1"}),
    Case("numbers shown as text", [lost()], [seen(echo=OURS | {"num_images": "1"})], {1: "p1"}),
    Case(
        "spaces trimmed from the prompt",
        [lost(body=edit_body("warm\n light "))],
        [seen(echo=edit_body("warm light"))],
        {1: "p1"},
    ),
    Case(
        "auto resolved",
        [lost(body=edit_body(aspect_ratio="auto"))],
        [seen(echo=edit_body(aspect_ratio="3:2"))],
        {1: "p1"},
    ),
    Case(
        "a clip without references, not shown",
        [lost(body=VIDEO)],
        [seen(echo={k: v for k, v in VIDEO.items() if k != "images"})],
        {1: "p1"},
    ),
    Case("rewritten, the file's name kept", [lost()], [seen(echo=KEPT_NAME)], {1: "p1"}),
    Case("rewritten beyond recognition, one candidate", [lost()], [seen(echo=NEW_NAME)], {1: "p1"}),
    Case(
        "rewritten beyond recognition, two candidates",
        [lost()],
        [seen("p1", echo=NEW_NAME), seen("p2", echo=NEW_NAME)],
        {1: "hold"},
    ),
    Case(
        "rewritten beyond recognition, two attempts with the same words",
        [lost(1), lost(2, body=OTHER_FILE)],
        [seen("p1", echo=NEW_NAME)],
        {1: "hold", 2: "hold"},
    ),
    Case(
        "rewritten beyond recognition, told apart by their words",
        [lost(1), lost(2, body=OTHER_WORDS)],
        [seen("p1", echo=NEW_NAME), seen("p2", echo=NEW_NAME | {"prompt": "cold"})],
        {1: "p1", 2: "p2"},
    ),
    Case("media not shown", [lost()], [seen(echo={"prompt": "warm"})], {1: "p1"}),
    Case("another prompt is another's", [lost()], [seen(echo=OTHER_WORDS)], {1: "again"}),
    Case("another setting is another's", [lost()], [seen(echo=OURS | {"resolution": "2k"})], {1: "again"}),
    Case(
        "another number of pictures is another's",
        [lost()],
        [seen(echo=OURS | {"image": [CDN, CDN]})],
        {1: "again"},
    ),
    Case(
        "the same words with another file beside ours is nobody's to take",
        [lost()],
        [seen(echo=OTHER_FILE)],
        {1: "hold"},
    ),
    Case(
        "the same words with another file, which another attempt sent",
        [lost(1), lost(2, body=OTHER_FILE)],
        [seen("p2", echo=OTHER_FILE)],
        {1: "again", 2: "p2"},
    ),
    Case(
        "the same words with another file, which is in another's POST",
        [lost(1), lost(2, body=OTHER_FILE, posting=True)],
        [seen("p2", echo=OTHER_FILE)],
        {1: "again"},
    ),
    Case(
        "equal bodies are interchangeable",
        [lost(1), lost(2, at=1)],
        [seen("p1", at=2, echo=OURS), seen("p2", at=3, echo=OURS)],
        {1: "p1", 2: "p2"},
    ),
    Case(
        "equal bodies, one prediction",
        [lost(1), lost(2, at=1)],
        [seen("p1", at=2, echo=OURS)],
        {1: "p1", 2: "again"},
    ),
    Case(
        "equal bodies, one prediction, not quiet yet", [lost(1), lost(2)], [seen(echo=OURS)], {1: "p1"}, EARLY
    ),
    Case(
        "equal bodies, of which the later attempt can only have made the earlier prediction",
        # Taken in the order of their intents, the first would take the only prediction that the second can have made.
        [lost(1, at=0, timeout=600), lost(2, at=1, timeout=1)],
        [seen("p1", at=2, echo=OURS), seen("p2", at=500, echo=OURS)],
        {1: "p2", 2: "p1"},
        at=800,
    ),
    Case(
        "an equal body in its POST may have made it", [lost(1), lost(2, posting=True)], [seen(echo=OURS)], {}
    ),
    Case(
        "an equal file in its POST may have made it",
        [lost(1), lost(2, body=OURS | {"image": upload("a", OTHER_CDN)}, posting=True)],
        [seen(echo=OURS | {"image": upload("a", "https://third.example.com")})],
        {},
    ),
    Case(
        "an equal body in its POST cannot have made what is older than its intent",
        [lost(1), lost(2, at=1000, posting=True)],
        [seen(echo=OURS)],
        {1: "p1"},
        at=1001,
    ),
    Case("the very inputs long before the intent", [lost(at=900)], [seen(echo=OURS)], {1: "hold"}, at=1001),
    Case("the very inputs long after", [lost()], [seen(at=1000, echo=OURS)], {1: "hold"}, at=1001),
    Case(
        "kept by a gateway until after the time-out", [lost()], [seen(at=TIMEOUT + 29, echo=OURS)], {1: "p1"}
    ),
    Case(
        "kept by a gateway for the whole quiet period",
        [lost()],
        [seen(at=QUIET + 60, echo=OURS)],
        {1: "p1"},
        at=200,
    ),
    Case("no creation time", [lost()], [seen(at=None, echo=OURS)], {1: "p1"}),
]
SILENT = [
    Case("one attempt, one candidate", [lost()], [seen()], {1: "p1"}, EARLY),
    Case("not ended yet", [lost()], [seen(status="processing")], {1: None}),
    Case("not ended after the deadline", [lost()], [seen(status="processing")], {1: "hold"}, at=3601),
    Case("ended without outputs", [lost()], [seen(status="failed")], {1: "p1"}),
    Case("two attempts", [lost(1), lost(2, body=OTHER_WORDS)], [seen()], {1: "hold", 2: "hold"}),
    Case("two attempts of equal body", [lost(1), lost(2)], [seen("p1"), seen("p2")], {1: "hold", 2: "hold"}),
    Case(
        "two attempts, the other of another time",
        [lost(1), lost(2, at=-5000)],
        [seen()],
        {1: "p1", 2: "again"},
    ),
    Case("two candidates", [lost()], [seen("p1"), seen("p2", at=2)], {1: "hold"}),
    Case(
        "two candidates, one of which does not fit",
        [lost()],
        [seen(), seen("p2", outputs=("https://x.org/1.webp",))],
        {1: "hold"},
    ),
    Case("a candidate of long before", [lost()], [seen(at=-300)], {1: "again"}),
    Case("a candidate of long before, not quiet yet", [lost()], [seen(at=-300)], {}, EARLY),
    Case("a candidate a little before the clocks allow it", [lost()], [seen(at=-30)], {1: "hold"}),
    Case("a candidate a little after the clocks allow it", [lost()], [seen(at=TIMEOUT + 30)], {1: "hold"}),
    Case("too many outputs", [lost()], [seen(outputs=ONE_PNG * 2)], {1: "hold"}),
    Case(
        "fewer outputs than asked for",
        [lost(body=edit_body(num_images=3))],
        [seen(outputs=ONE_PNG * 2)],
        {1: "p1"},
    ),
    Case("another format", [lost()], [seen(outputs=("https://x.org/1.jpg",))], {1: "hold"}),
    Case(
        "jpg is jpeg",
        [lost(body=edit_body(output_format="jpeg"))],
        [seen(outputs=("https://x.org/1.JPG?a=b",))],
        {1: "p1"},
    ),
    Case("no ending", [lost()], [seen(outputs=("https://x.org/1",))], {1: "p1"}),
    Case("a clip", [lost(body=VIDEO)], [seen(outputs=("https://x.org/1.mp4",))], {1: "p1"}),
    Case("a picture for a clip", [lost(body=VIDEO)], [seen()], {1: "hold"}),
    Case("no creation time, silent", [lost()], [seen(at=None)], {1: "p1"}),
    Case("an empty echo is none", [lost()], [seen(echo={})], {1: "p1"}),
    Case("an echo without the prompt is none", [lost()], [seen(echo={"seed": 1})], {1: "p1"}),
    Case(
        "another in its POST may have made it",
        [lost(1), lost(2, body=OTHER_WORDS, posting=True)],
        [seen()],
        {},
    ),
    Case("another in its POST, and nothing to be seen", [lost(1), lost(2, posting=True)], [], {1: "again"}),
    Case("one held for a person may have made it", [lost(1), lost(2, held=True)], [seen()], {1: "hold"}),
    Case(
        "one held for a person, of another time", [lost(1), lost(2, at=-5000, held=True)], [seen()], {1: "p1"}
    ),
    Case("nothing, not quiet yet", [lost()], [], {}, at=QUIET - 0.1),
    Case("nothing, quiet", [lost()], [], {1: "again"}, at=QUIET),
    Case("only in a POST", [lost(posting=True)], [seen()], {}),
    Case("only held", [lost(held=True)], [seen()], {}),
]
MIXED = [
    # A history that echoes here and not there: each item is judged by what it shows.
    Case(
        "the rewritten one beside a silent one of long ago",
        [lost()],
        [seen("p1", echo=KEPT_NAME), seen("p2", at=-5000)],
        {1: "p1"},
    ),
    Case("the exact one beside a silent one", [lost()], [seen("p1", echo=OURS), seen("p2")], {1: "p1"}),
    Case("a silent one beside another's", [lost()], [seen("p1"), seen("p2", echo=OTHER_WORDS)], {1: "p1"}),
    Case(
        "a silent one and one of the same words",
        [lost()],
        [seen("p1"), seen("p2", echo=NEW_NAME)],
        {1: "hold"},
    ),
    Case(
        "an exact one for one attempt leaves the silent one to the other",
        [lost(1), lost(2, body=OTHER_WORDS)],
        [seen("p1", echo=OURS), seen("p2")],
        {1: "p1", 2: "p2"},
    ),
    Case(
        "one that waits for its twin's POST may still turn out to be the silent one's maker",
        [lost(1), lost(2, posting=True, at=100), lost(3, body=OTHER_WORDS)],
        [seen("p1", at=100, echo=OURS), seen("p2", at=-4)],
        {},
    ),
]
FAST = Rules(quiet=30, deadline=3600, skew=ClockSkew(low=299, high=301, known=True))
UNKNOWN_SKEW = Rules(quiet=30, deadline=3600, skew=ClockSkew())
SKEWED = [
    Case("five minutes fast, as learnt", [lost()], [seen(at=300)], {1: "p1"}, rules=FAST),
    Case(
        "five minutes fast, and ours is not the one of now", [lost()], [seen(at=0)], {1: "again"}, rules=FAST
    ),
    Case("at the near edge", [lost()], [seen(at=299 - CLOSE_SECONDS)], {1: "p1"}, rules=FAST),
    Case("beyond the near edge", [lost()], [seen(at=298.9 - CLOSE_SECONDS)], {1: "hold"}, rules=FAST),
    Case("at the far edge", [lost()], [seen(at=299 - CLOSE_SECONDS - FAR_SECONDS)], {1: "hold"}, rules=FAST),
    Case(
        "beyond the far edge",
        [lost()],
        [seen(at=298.9 - CLOSE_SECONDS - FAR_SECONDS)],
        {1: "again"},
        rules=FAST,
    ),
    Case("skew not known", [lost()], [seen(at=-290)], {1: "p1"}, rules=UNKNOWN_SKEW),
]


def replied(reply: Reply, **more: Any) -> AttemptRow:
    return replace(lost(**more), reply=reply)


WEEK = 8 * 86_400.0
REPLIED = [
    Case("refused, and nothing shows", [replied(Reply.REFUSED)], [], {1: "again"}, EARLY),
    Case("refused, and its very inputs show", [replied(Reply.REFUSED)], [seen(echo=OURS)], {1: "p1"}, EARLY),
    Case("refused, and only others' show", [replied(Reply.REFUSED)], [seen(echo=OTHER_WORDS)], {1: "again"}),
    Case("refused, and too long ago", [replied(Reply.REFUSED)], [], {1: "hold"}, WEEK),
    Case("accepted, and nothing shows yet", [replied(Reply.ACCEPTED)], [], {1: None}, EARLY),
    Case("accepted, and nothing shows at all", [replied(Reply.ACCEPTED)], [], {1: "hold"}),
    Case(
        "accepted, and its very inputs show", [replied(Reply.ACCEPTED)], [seen(echo=OURS)], {1: "p1"}, EARLY
    ),
    Case("accepted, and only others' show", [replied(Reply.ACCEPTED)], [seen(echo=OTHER_WORDS)], {1: "hold"}),
]


@pytest.mark.parametrize("case", [*ECHOING, *SILENT, *MIXED, *SKEWED, *REPLIED], ids=str)
def test_a_case(case: Case) -> None:
    expected = {number: name for number, name in case.expected.items() if name is not None}
    assert said(case.attempts, case.history, case.at, case.rules) == expected


def test_what_a_held_attempt_is_told_names_the_candidates() -> None:
    [decision] = decisions_of([lost()], [seen("p1"), seen("p2")])
    assert isinstance(decision, Hold)
    assert "2 possible: p1, p2" in decision.reason
    assert "campaign reconcile" in decision.reason


def test_an_adopted_prediction_s_creation_is_handed_on() -> None:
    [decision] = decisions_of([lost()], [seen(at=3, echo=OURS)])
    assert decision == Adopt(1, "p1", NOON + seconds(3))


def test_what_is_sent_again_after_a_refusal_does_not_count_as_lost() -> None:
    [decision] = decisions_of([replied(Reply.REFUSED)], [], EARLY)
    assert decision == SendAgain(1, counts=False)


def test_what_was_accepted_is_held_with_what_to_do() -> None:
    [decision] = decisions_of([replied(Reply.ACCEPTED)], [])
    assert isinstance(decision, Hold)
    assert "took the request on" in decision.reason
    assert "campaign reconcile" in decision.reason


@pytest.mark.parametrize(
    "odd", [{"prompt": None}, {"prompt": 5}, {"image": None}, {"image": {"url": "x"}}, {"image": "http://["}]
)
def test_an_odd_echo_is_no_reason_to_stop(odd: dict[str, Any]) -> None:
    assert likeness(OURS, OURS | odd) < Likeness.FILES
    assert len(decisions_of([lost()], [seen(echo=OURS | odd)])) == 1


# ---- properties

_AT = st.integers(-200, 400)
_BODIES = (OURS, OTHER_FILE, OTHER_WORDS, OURS | {"resolution": "2k"})
_ECHOES: tuple[dict[str, Any] | None, ...] = (None, {}, *_BODIES, KEPT_NAME, NEW_NAME)


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[AttemptRow], list[Prediction], float]:
    attempts = [
        lost(
            number,
            at=draw(_AT),
            body=draw(st.sampled_from(_BODIES)),
            timeout=draw(st.sampled_from((5, 60))),
            posting=draw(st.booleans()),
            held=draw(st.booleans()),
        )
        for number in range(1, draw(st.integers(1, 5)) + 1)
    ]
    history = [
        seen(
            f"p{number}",
            at=draw(st.none() | _AT),
            echo=draw(st.sampled_from(_ECHOES)),
            status=draw(st.sampled_from(("completed", "processing", "failed"))),
            outputs=draw(st.sampled_from((ONE_PNG, ONE_PNG * 2, ("https://x.org/1.webp",)))),
        )
        for number in range(draw(st.integers(0, 5)))
    ]
    return attempts, history, draw(st.integers(0, 700))


@given(situations(), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_what_holds_of_every_situation(
    situation: tuple[list[AttemptRow], list[Prediction], float], order: random.Random
) -> None:
    attempts, history, at = situation
    decisions = decisions_of(attempts, history, at)

    about = [decision.attempt_id for decision in decisions]
    assert len(set(about)) == len(about)
    decidable = {a.id for a in attempts if not a.posting and a.held_at is None and a.state == "unknown"}
    assert set(about) <= decidable
    adopted = [decision.prediction_id for decision in decisions if isinstance(decision, Adopt)]
    assert len(set(adopted)) == len(adopted)
    assert set(adopted) <= {prediction.id for prediction in history}
    by_id = {attempt.id: attempt for attempt in attempts}
    for decision in decisions:
        attempt = by_id[decision.attempt_id]
        assert attempt.intent_at is not None
        if isinstance(decision, SendAgain):
            assert attempt.request_timeout_s is not None
            assert NOON + seconds(at) >= attempt.intent_at + seconds(attempt.request_timeout_s + 30)
            # Nothing silent, and nothing of its words, that no better match takes, lies in its time.
            for prediction in history:
                if (
                    prediction.created_at is None
                    or 0
                    <= (prediction.created_at - attempt.intent_at).total_seconds()
                    <= attempt.request_timeout_s
                ):
                    assert prediction.input, "a silent prediction in the window"
                    like = likeness(attempt.body, prediction.input)
                    assert like is Likeness.OTHER or any(
                        likeness(other.body, prediction.input) >= Likeness.FILES for other in attempts
                    )
        if isinstance(decision, Adopt):
            prediction = next(p for p in history if p.id == decision.prediction_id)
            assert likeness(attempt.body, prediction.input) > Likeness.DOUBTFUL

    shuffled_attempts, shuffled_history = list(attempts), list(history)
    order.shuffle(shuffled_attempts)
    order.shuffle(shuffled_history)
    assert decisions_of(shuffled_attempts, shuffled_history, at) == decisions


@dataclass
class World:
    """What really happened: some POSTs were accepted, others were not, and other people use the account too."""

    attempts: list[AttemptRow]
    history: list[Prediction]
    makers: dict[str, int | None]  # by prediction: the attempt that made it; None: somebody else


_MODES = ("as sent", "names kept", "beyond recognition", "silent", "mixed")


def _echo(mode: str, body: dict[str, Any], number: int) -> dict[str, Any] | None:
    name = str(body["image"]).rpartition("/")[2]
    return {
        "as sent": body,
        "names kept": body | {"image": f"{OTHER_CDN}/{name}"},
        "beyond recognition": body | {"image": f"{OTHER_CDN}/{number}.png"},
        "silent": None,
    }[mode]


@st.composite
def worlds(draw: st.DrawFn, modes: tuple[str, ...] = _MODES) -> World:
    mode = draw(st.sampled_from(modes))
    skew = draw(st.floats(-1, 1))
    attempts: list[AttemptRow] = []
    history: list[Prediction] = []
    makers: dict[str, int | None] = {}

    def happened(body: dict[str, Any], at: float, maker: int | None) -> None:
        number = len(history) + 1
        own = draw(st.sampled_from(_MODES[:-1])) if mode == "mixed" else mode
        history.append(seen(f"p{number}", at=at + skew, echo=_echo(own, body, number)))
        makers[f"p{number}"] = maker

    for number in range(1, draw(st.integers(1, 5)) + 1):
        body = edit_body(draw(st.sampled_from(("warm", "cold"))), upload(draw(st.sampled_from("ab"))))
        at = draw(st.floats(0, 300))
        posting = draw(st.integers(0, 5)) == 0
        attempts.append(lost(number, at=at, body=body, timeout=TIMEOUT, posting=posting))
        if draw(st.booleans()):
            # On its way, or kept by a gateway for a while.
            happened(body, at + draw(st.floats(0, QUIET)), number)
    for _ in range(draw(st.integers(0, 2))):
        happened(
            edit_body(draw(st.sampled_from(("warm", "cold"))), upload("f")), draw(st.floats(-100, 500)), None
        )
    return World(attempts, history, makers)


@given(worlds())
@settings(max_examples=500, deadline=None)
def test_nothing_that_exists_is_paid_for_again(world: World) -> None:
    decisions = decisions_of(world.attempts, world.history, 600)

    def work(number: int) -> str:
        body = next(a.body for a in world.attempts if a.id == number)
        assert body is not None
        return f"{body['prompt']} {body['image']}"

    # Attempts at equal work are interchangeable: of each work, no more are sent again than were not accepted.
    accepted = Counter(work(maker) for maker in world.makers.values() if maker is not None)
    asked = Counter(work(attempt.id) for attempt in world.attempts)
    again = Counter(work(one.attempt_id) for one in decisions if isinstance(one, SendAgain))
    for what, count in again.items():
        assert count <= asked[what] - accepted[what]


@given(worlds(("as sent", "names kept")))
@settings(max_examples=300, deadline=None)
def test_where_inputs_are_shown_nobody_else_s_prediction_is_taken(world: World) -> None:
    decisions = decisions_of(world.attempts, world.history, 600)
    bodies = {attempt.id: attempt.body for attempt in world.attempts}
    for decision in decisions:
        if isinstance(decision, Adopt):
            maker = world.makers[decision.prediction_id]
            assert maker is not None
            assert bodies[maker] == bodies[decision.attempt_id]
    # And everything is settled: nothing but what is in its POST, or beside another's of the same words, is left open.
    if not any(attempt.posting for attempt in world.attempts) and None not in world.makers.values():
        assert {type(decision) for decision in decisions} <= {Adopt, SendAgain}
        assert len(decisions) == len(world.attempts)


def test_equal_inputs_are_told_apart_by_time_whichever_of_their_addresses_are_shown() -> None:
    """Whoever lets the exact addresses choose first gives p2 to the first, and pays for the second again."""
    attempts = [lost(1), lost(2, at=67)]
    kept_name = OURS | {"image": OURS["image"].replace(CDN, OTHER_CDN)}
    history = [seen("p1", at=0, echo=kept_name), seen("p2", at=67, echo=OURS)]
    assert said(attempts, history, LATE, RULES) == {1: "p1", 2: "p2"}


def test_a_large_busy_account_is_decided_about_quickly() -> None:
    """Three hundred POSTs under way with the same words: the ledger is locked while this is worked out."""
    attempts = [lost(n, body=edit_body(image=f"{CDN}/{n:064x}.png"), posting=n > 3) for n in range(1, 301)]
    history = [seen(f"p{n}", echo=attempts[n - 1].body) for n in range(1, 301)]
    assert said(attempts, history, LATE, RULES) == {1: "p1", 2: "p2", 3: "p3"}
