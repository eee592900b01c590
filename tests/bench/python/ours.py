"""fanwire: asyncio, or with --sync its blocking interface."""

import argparse
import asyncio
import os
import sys
import threading

import driver
import fanwire

# So that nothing overflows; all else is as it comes.
SETTINGS = {"inbox_count": 10_000_000, "inbox_bytes": 4_000_000_000}


def handler_of(check: driver.Check, size: int):
    expected = check.expected
    look_closer = check.look_closer

    def on_message(message: fanwire.Message) -> None:
        data = message.data
        if data[:16] != expected() or len(data) != size:
            look_closer(data)

    return on_message


def on_event_of(args: argparse.Namespace):
    fatal = ("failed",) if args.broken_once else ("gap", "failed")

    def on_event(event: fanwire.Event) -> None:
        if event.kind in fatal:
            print(event, file=sys.stderr, flush=True)
            os._exit(1)

    return on_event


async def receive(args: argparse.Namespace) -> None:
    done = asyncio.get_running_loop().create_future()
    check = driver.Check(args, lambda: done.set_result(None))
    handler = handler_of(check, args.size)
    async with fanwire.connect(args.url, **SETTINGS) as bus:
        subscriptions = [
            bus.subscribe(driver.CHANNEL % i, handler, on_event=on_event_of(args)) for i in range(args.channels)
        ]
        for subscription in subscriptions:
            await subscription.ready
        check.watch.ready()
        await done
        check.report()


def receive_sync(args: argparse.Namespace) -> None:
    done = threading.Event()
    check = driver.Check(args, done.set)
    handler = handler_of(check, args.size)
    with fanwire.Client(args.url, **SETTINGS) as bus:
        subscriptions = [
            bus.subscribe(driver.CHANNEL % i, handler, on_event=on_event_of(args)) for i in range(args.channels)
        ]
        for subscription in subscriptions:
            subscription.wait_ready(60)
        check.watch.ready()
        done.wait()
        check.report()


async def publish(args: argparse.Namespace) -> None:
    channel, payload = driver.PUBLISH_CHANNEL, driver.payload_of(args.size)
    wrong = 0
    async with fanwire.connect(args.url) as bus:
        watch = driver.Stopwatch()
        watch.ready()
        if args.outcomes:
            for count in driver.rounds(args.count, args.in_flight):
                receivers = await asyncio.gather(*[bus.publish(channel, payload) for _ in range(count)])
                wrong += sum(receivers)
        else:
            for count in driver.rounds(args.count, 10_000):  # no more than the engine may have queued
                for _ in range(count - 1):
                    bus.publish_nowait(channel, payload)
                wrong += await bus.publish(channel, payload)
        watch.end()
        watch.report(args.count, wrong)


def publish_sync(args: argparse.Namespace) -> None:
    channel, payload = driver.PUBLISH_CHANNEL, driver.payload_of(args.size)
    with fanwire.Client(args.url) as bus:

        def run(count: int) -> int:
            if args.outcomes:
                return sum(bus.publish(channel, payload) for _ in range(count))
            wrong = 0
            for part in driver.rounds(count, 10_000):
                for _ in range(part - 1):
                    bus.publish_nowait(channel, payload)
                wrong += bus.publish(channel, payload)
            return wrong

        driver.publish_in_threads(args, run)


if __name__ == "__main__":
    options = driver.parse(__doc__, sync_option=True)
    if options.sync:
        (receive_sync if options.mode == "receive" else publish_sync)(options)
    else:
        driver.refuse_threads(options)
        asyncio.run((receive if options.mode == "receive" else publish)(options))
