"""A face of fanwire, or with --original the package in whose place it stands: broadcaster and python-socketio."""

import argparse
import asyncio
import logging

import driver
import redis

TEXT = driver.payload_of(128).decode()
AT_ONCE = 100


def executed(url: str) -> int:
    """How many PUBLISH Redis has counted."""
    with redis.Redis.from_url(url) as client:
        return client.info("commandstats").get("cmdstat_publish", {"calls": 0})["calls"]


async def broadcaster(args: argparse.Namespace, at_once: int = AT_ONCE) -> None:
    """Publishes, so many at once, and receives all of it."""
    from broadcaster import Broadcast

    url = args.url
    if not args.original:
        import fanwire.broadcaster  # noqa: F401

        url = url.replace("redis:", "fanwire:")
    watch = driver.Stopwatch()
    wrong = 0
    async with Broadcast(url) as broadcast, broadcast.subscribe("bench") as subscriber:
        watch.ready()
        for count in driver.rounds(args.count, at_once):
            texts = {f"{i:016d}{TEXT[16:]}" for i in range(count)}
            await asyncio.gather(*[broadcast.publish("bench", text) for text in texts])
            # broadcaster's own publishes over many connections, which keep no order.
            for _ in range(count):
                texts.discard((await subscriber.get()).message)
            wrong += len(texts)
        watch.end()
    watch.report(args.count, wrong)


async def broadcaster_one(args: argparse.Namespace) -> None:
    """One after the other: each is received before the next is published."""
    await broadcaster(args, 1)


def emit(args: argparse.Namespace) -> None:
    """Emits one after the other, in a thread."""
    manager = _manager("RedisManager", args)
    manager.emit("said", {"text": TEXT}, room="bench")
    before = executed(args.url)
    watch = driver.Stopwatch()
    watch.ready()
    for _ in range(args.count):
        manager.emit("said", {"text": TEXT}, room="bench")
    watch.end()
    watch.report(args.count, _missing(args, before))


async def emit_async(args: argparse.Namespace) -> None:
    """Emits, so many at once, in an event loop."""
    manager = _manager("AsyncRedisManager", args)
    await manager.emit("said", {"text": TEXT}, room="bench")
    before = executed(args.url)
    watch = driver.Stopwatch()
    watch.ready()
    for count in driver.rounds(args.count, AT_ONCE):
        await asyncio.gather(*[manager.emit("said", {"text": TEXT}, room="bench") for _ in range(count)])
    watch.end()
    watch.report(args.count, _missing(args, before))


def _manager(name: str, args: argparse.Namespace) -> object:
    if args.original:
        import socketio as package
    else:
        import fanwire.socketio as package
    logging.getLogger("socketio").setLevel(logging.ERROR)
    return getattr(package, name)(args.url, channel="bench", write_only=True)


def _missing(args: argparse.Namespace, before: int) -> int:
    """What Redis has not executed. In a burst of ours the last ones are not waited for: they may be on their way."""
    for _ in range(1000):
        missing = args.count - (executed(args.url) - before)
        if missing == 0:
            break
    return missing


RUNS = {"broadcaster": broadcaster, "broadcaster-one": broadcaster_one, "emit": emit, "emit-async": emit_async}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--original", action="store_true")
    options = parser.parse_args()
    result = RUNS[options.what](options)
    if result is not None:
        asyncio.run(result)
