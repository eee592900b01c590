"""What waits while a handler is awaited that nobody knew to be asynchronous: bounded, with gaps in the right places."""

import asyncio
import random

import fanwire
import pytest
from conftest import within
from fanwire._backlog import _MAX_EVENTS, Backlog, folded


def messages(count, channels=("a",)):
    """Real ones, with their number as the text."""

    async def receive():
        async with fanwire.open("memory://") as bus:
            stream = bus.psubscribe("*")
            await within(stream.ready)
            for number in range(count):
                bus.publish_nowait(channels[number % len(channels)], str(number))
            return [await within(anext(stream)) for _ in range(count)]

    return asyncio.run(receive())


def shown(backlog):
    items = []
    while backlog:
        item = backlog.take()
        if isinstance(item, fanwire.Message):
            items.append(int(item.text))
        else:
            items.append(("gap", item.count) if item.kind == "gap" else item.kind)
    return items


def event(kind, count=None, reason=None):
    return fanwire.Event(kind, count=count, reason=reason)


def filled(backlog, items):
    for item in items:
        backlog.add(item)
    return shown(backlog)


def test_what_fits_stays_as_it_is():
    some = messages(5)
    items = [event("active"), *some[:2], event("lost"), *some[2:], event("ended")]
    assert filled(Backlog(5, 1000, "drop_oldest"), items) == ["active", 0, 1, "lost", 2, 3, 4, "ended"]


def test_the_oldest_makes_room():
    some = messages(6)
    items = [some[0], event("lost"), *some[1:]]
    assert filled(Backlog(3, 1000, "drop_oldest"), items) == [("gap", 1), "lost", ("gap", 2), 3, 4, 5]


def test_the_newest_is_left_out():
    some = messages(6)
    items = [*some[:5], event("lost"), some[5]]
    assert filled(Backlog(3, 1000, "drop_newest"), items) == [0, 1, 2, ("gap", 2), "lost", ("gap", 1)]


def test_conflate_keeps_the_last_of_each_channel():
    some = messages(7, ("a", "b"))
    assert filled(Backlog(2, 1000, "conflate"), some) == [("gap", 3), 6, ("gap", 2), 5]


def test_conflate_replaces_nothing_in_front_of_an_event():
    some = messages(3)
    items = [some[0], some[1], event("lost"), some[2]]
    assert filled(Backlog(2, 1000, "conflate"), items) == [("gap", 1), 1, "lost", 2]


def test_the_limit_of_bytes():
    some = messages(12)  # 2 bytes each, then 3
    assert filled(Backlog(100, 4, "drop_oldest"), some[:4]) == [("gap", 2), 2, 3]
    assert filled(Backlog(100, 4, "drop_oldest"), some[8:12]) == [("gap", 3), 11]
    assert filled(Backlog(100, 1, "drop_oldest"), some[:1]) == [0]  # one is always taken


def test_events_in_a_row_are_folded():
    row = [event("lost"), event("gap", None, "reconnect"), event("resumed")] * _MAX_EVENTS
    kinds = filled(Backlog(10, 1000, "drop_oldest"), row)
    assert len(kinds) <= _MAX_EVENTS and kinds[-1] == "resumed" and ("gap", None) in kinds
    assert folded([event("gap", 2, "overflow"), event("lost"), event("gap", 3, "overflow")]) == [
        event("gap", 5, "overflow"),
        event("lost"),
    ]


def test_unsubscribing_leaves_the_events():
    backlog = Backlog(2, 1000, "drop_oldest")
    some = messages(4)
    for item in (*some, event("lost")):
        backlog.add(item)
    backlog.clear_messages()
    backlog.add(event("ended"))
    assert shown(backlog) == [("gap", 2), "lost", "ended"]


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "conflate"])
@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_missing_without_a_gap(overflow, seed):
    """Whatever comes and is taken in whatever order: what is delivered and what the gaps count is what came."""
    choose = random.Random(seed)
    channels = ("a", "b", "c")
    some = messages(300, channels)
    count = choose.randrange(1, 8)
    backlog = Backlog(count, 1 << 20, overflow)
    taken, missing, states = [], 0, 0
    coming = iter(some)
    left = True
    while left or backlog:
        if left and choose.random() < 0.6:
            if choose.random() < 0.1:
                backlog.add(event("lost"))
                states += 1
            else:
                message = next(coming, None)
                left = message is not None
                if left:
                    backlog.add(message)
        elif backlog:
            item = backlog.take()
            if isinstance(item, fanwire.Message):
                taken.append(int(item.text))
            elif item.kind == "gap":
                missing += item.count
            else:
                states -= 1
    assert len(taken) + missing == 300 and states == 0
    for index in range(len(channels)):
        of_channel = [number for number in taken if number % len(channels) == index]
        assert of_channel == sorted(of_channel)
    if overflow != "conflate":
        assert taken == sorted(taken)
