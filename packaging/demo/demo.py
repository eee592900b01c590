"""One of the demo's five programs, in Python. packaging/demo/README.md says what they do."""

import asyncio
import sys
from collections import Counter

import fanwire


async def receive(subscription, counts, expected):
    """Counts messages "NAME NUMBER" by sender until all have come, and checks their order."""
    async for message in subscription:
        sender, number = message.text.split()
        counts[sender] += 1
        if int(number) != counts[sender]:
            sys.exit(f"demo.py: expected message {counts[sender]} of {sender}, got {message.text!r}")
        if counts.total() == expected:
            return


async def main(name, channel, count, programs):
    async with fanwire.connect() as bus:  # settings from the environment
        subscription = bus.subscribe(channel)
        await subscription.ready
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

        counts = Counter()
        receiving = asyncio.create_task(receive(subscription, counts, count * programs))
        # All at once: they go out in this order, pipelined, and each await gives the number of receivers.
        await asyncio.gather(*(bus.publish(channel, f"{name} {i}") for i in range(1, count + 1)))
        complete, _ = await asyncio.wait([receiving], timeout=60)

        for sender, received in counts.items():
            print("received", sender, received)
        print("done", flush=True)
        return 0 if complete else 1


if len(sys.argv) != 5:
    sys.exit("usage: demo.py NAME CHANNEL COUNT PROGRAMS")
sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
