"""Channel layers of Django Channels: fanwire's, or with --original channels_redis's pub/sub layer.

    new-channel   --count channels, --channels at once
    group-send    --count messages to a group that nobody is in, --channels at once
    group-fanout  --count messages to a group of --channels consumers, each when all have received the last one
    sync-send     --count messages to a group by async_to_sync(), from a thread without an event loop
"""

import argparse
import asyncio

import driver
from asgiref.sync import async_to_sync

MESSAGE = {"type": "chat.message", "text": "x" * 100, "user": 7}
WARM_UP = 20


async def at_once(count: int, limit: int, call) -> None:
    for some in driver.rounds(count, limit):
        if some == 1:
            await call()
        else:
            await asyncio.gather(*[call() for _ in range(some)])


async def new_channel(layer, args: argparse.Namespace, watch: driver.Stopwatch) -> int:
    await at_once(WARM_UP, 1, layer.new_channel)
    watch.start()
    await at_once(args.count, args.channels, layer.new_channel)
    watch.end()
    return len(layer.channels) - args.count - WARM_UP


async def group_send(layer, args: argparse.Namespace, watch: driver.Stopwatch) -> int:
    def send():
        return layer.group_send("bench", MESSAGE)

    await at_once(WARM_UP, 1, send)
    watch.start()
    await at_once(args.count, args.channels, send)
    watch.end()
    return 0


async def group_fanout(layer, args: argparse.Namespace, watch: driver.Stopwatch) -> int:
    members = [await layer.new_channel() for _ in range(args.channels)]
    for member in members:
        await layer.group_add("bench", member)
    left = wrong = 0
    all_have_it = asyncio.Event()

    async def consume(member: str) -> None:
        nonlocal left, wrong
        for _ in range(args.count + WARM_UP):
            wrong += await layer.receive(member) != MESSAGE
            left -= 1
            if left == 0:
                all_have_it.set()

    consumers = [asyncio.create_task(consume(member)) for member in members]
    for number in range(args.count + WARM_UP):
        if number == WARM_UP:
            watch.start()
        left = len(members)
        all_have_it.clear()
        await layer.group_send("bench", MESSAGE)
        await all_have_it.wait()
    watch.end()
    await asyncio.gather(*consumers)
    return wrong


def sync_send(layer, args: argparse.Namespace, watch: driver.Stopwatch) -> int:
    send = async_to_sync(layer.group_send)
    for _ in range(WARM_UP):
        send("bench", MESSAGE)
    watch.start()
    for _ in range(args.count):
        send("bench", MESSAGE)
    watch.end()
    return 0


async def with_loop(measure, layer, args: argparse.Namespace, watch: driver.Stopwatch) -> int:
    try:
        return await measure(layer, args, watch)
    finally:
        await layer.flush()


MODES = {"new-channel": new_channel, "group-send": group_send, "group-fanout": group_fanout, "sync-send": sync_send}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", action="store_true")
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--channels", type=int, required=True)
    args = parser.parse_args()
    if args.original:
        from channels_redis.pubsub import RedisPubSubChannelLayer as Layer
    else:
        from fanwire.channels import FanwireChannelLayer as Layer
    layer = Layer(hosts=[args.url])
    watch = driver.Stopwatch()
    measure = MODES[args.mode]
    if args.mode == "sync-send":
        wrong = measure(layer, args, watch)
    else:
        wrong = asyncio.run(with_loop(measure, layer, args, watch))
    watch.report(args.count, wrong)


if __name__ == "__main__":
    main()
