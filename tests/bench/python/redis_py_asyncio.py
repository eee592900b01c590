"""redis-py for asyncio, with hiredis's parser."""

import argparse
import asyncio
import sys

import driver
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff


def connect(args: argparse.Namespace) -> redis.asyncio.Redis:
    if not redis.utils.HIREDIS_AVAILABLE:
        sys.exit("redis-py does not find hiredis")
    # From a URL it gives up at the first break unless told otherwise. RESP2, in which it receives faster than in its default.
    return redis.asyncio.Redis.from_url(args.url, protocol=2, retry=Retry(ConstantBackoff(0.05), 100),
                                        **({"ssl_ca_certs": args.ca} if args.ca else {}))  # fmt: skip


async def receive(args: argparse.Namespace) -> None:
    check = driver.Check(args)
    size, expected, look_closer = args.size, check.expected, check.look_closer
    async with connect(args) as client, client.pubsub() as pubsub:
        for first in range(0, args.channels, 1000):
            await pubsub.subscribe(*[driver.WIRE_CHANNEL % i for i in range(first, min(first + 1000, args.channels))])
        messages = pubsub.listen()
        for _ in range(args.channels):
            assert (await anext(messages))["type"] == "subscribe"
        check.watch.ready()
        if args.broken_once:  # then it subscribes again, and is told so
            messages = (message async for message in messages if message["type"] == "message")
        async for message in messages:
            data = message["data"]
            if data[:16] != expected() or len(data) != size:
                look_closer(data)
            if check.done:
                break
        check.report()


async def publish(args: argparse.Namespace) -> None:
    channel, payload = driver.WIRE_PUBLISH_CHANNEL, driver.payload_of(args.size)
    wrong = 0
    async with connect(args) as client:
        await client.ping()
        watch = driver.Stopwatch()
        watch.ready()
        if args.outcomes:
            for count in driver.rounds(args.count, args.in_flight):
                receivers = await asyncio.gather(*[client.publish(channel, payload) for _ in range(count)])
                wrong += sum(receivers)
        else:
            for count in driver.rounds(args.count, 1000):
                async with client.pipeline(transaction=False) as pipeline:
                    for _ in range(count):
                        pipeline.publish(channel, payload)
                    wrong += sum(await pipeline.execute())
        watch.end()
        watch.report(args.count, wrong)


if __name__ == "__main__":
    options = driver.parse(__doc__)
    driver.refuse_threads(options)
    asyncio.run((receive if options.mode == "receive" else publish)(options))
