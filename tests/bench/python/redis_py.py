"""redis-py, blocking, with hiredis's parser.

Several outcomes at once are a pipeline's, which is its fastest way to publish; so are those that nobody asks for.
"""

import argparse
import sys

import driver
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry


def connect(args: argparse.Namespace) -> redis.Redis:
    if not redis.utils.HIREDIS_AVAILABLE:
        sys.exit("redis-py does not find hiredis")
    # From a URL it gives up at the first break unless told otherwise. RESP2, in which it receives faster than in its default.
    return redis.Redis.from_url(args.url, protocol=2, retry=Retry(ConstantBackoff(0.05), 100),
                                **({"ssl_ca_certs": args.ca} if args.ca else {}))  # fmt: skip


def receive(args: argparse.Namespace) -> None:
    check = driver.Check(args)
    size, expected, look_closer = args.size, check.expected, check.look_closer
    client = connect(args)
    with client.pubsub() as pubsub:
        for first in range(0, args.channels, 1000):
            pubsub.subscribe(*[driver.WIRE_CHANNEL % i for i in range(first, min(first + 1000, args.channels))])
        messages = pubsub.listen()
        for _ in range(args.channels):
            assert next(messages)["type"] == "subscribe"
        check.watch.ready()
        if args.broken_once:  # then it subscribes again, and is told so
            messages = (message for message in messages if message["type"] == "message")
        for message in messages:
            data = message["data"]
            if data[:16] != expected() or len(data) != size:
                look_closer(data)
            if check.done:
                break
        check.report()


def publish(args: argparse.Namespace) -> None:
    channel, payload = driver.WIRE_PUBLISH_CHANNEL, driver.payload_of(args.size)
    client = connect(args)
    client.ping()

    def run(count: int) -> int:
        if args.outcomes and args.in_flight == 1:
            return sum(client.publish(channel, payload) for _ in range(count))
        wrong = 0
        for part in driver.rounds(count, args.in_flight if args.outcomes else 1000):
            with client.pipeline(transaction=False) as pipeline:
                for _ in range(part):
                    pipeline.publish(channel, payload)
                wrong += sum(pipeline.execute())
        return wrong

    driver.publish_in_threads(args, run)


if __name__ == "__main__":
    options = driver.parse(__doc__)
    (receive if options.mode == "receive" else publish)(options)
