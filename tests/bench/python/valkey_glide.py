"""valkey-glide for asyncio, whose core is in Rust. Channels are given when it is opened."""

import argparse
import asyncio
import pathlib
import sys
from urllib.parse import urlsplit

import driver
import glide

glide.Logger.set_logger_config(glide.LogLevel.OFF)  # it logs to the standard output, which is the runner's
Modes = glide.GlideClientConfiguration.PubSubChannelModes


def configuration_of(args: argparse.Namespace, **more) -> glide.GlideClientConfiguration:
    url = urlsplit(args.url)
    if url.scheme == "unix":
        sys.exit("valkey-glide has no unix sockets")
    if args.ca:
        tls = glide.TlsAdvancedConfiguration(root_pem_cacerts=pathlib.Path(args.ca).read_bytes())
        more.update(use_tls=True, advanced_config=glide.AdvancedGlideClientConfiguration(tls_config=tls))
    return glide.GlideClientConfiguration([glide.NodeAddress(url.hostname, url.port)], request_timeout=60_000,
                                          inflight_requests_limit=10_000, **more)  # fmt: skip


async def receive(args: argparse.Namespace) -> None:
    done = asyncio.Event()
    check = driver.Check(args, done.set)
    size, expected, look_closer = args.size, check.expected, check.look_closer

    def on_message(message: glide.PubSubMsg, _: object) -> None:
        data = message.message
        if data[:16] != expected() or len(data) != size:
            look_closer(data)

    channels = {driver.WIRE_CHANNEL % i for i in range(args.channels)}
    subscriptions = glide.GlideClientConfiguration.PubSubSubscriptions({Modes.Exact: channels}, on_message, None)
    client = await glide.GlideClient.create(configuration_of(args, pubsub_subscriptions=subscriptions))
    while len((await client.get_subscriptions()).actual_subscriptions.get(Modes.Exact, ())) != len(channels):
        await asyncio.sleep(0.01)
    check.watch.ready()
    await done.wait()
    check.report()
    await client.close()


async def publish(args: argparse.Namespace) -> None:
    channel, payload = driver.WIRE_PUBLISH_CHANNEL, driver.payload_of(args.size)
    client = await glide.GlideClient.create(configuration_of(args))
    wrong = 0
    watch = driver.Stopwatch()
    watch.ready()
    for count in driver.rounds(args.count, args.in_flight if args.outcomes else 1000):
        if args.outcomes:
            wrong += sum(await asyncio.gather(*[client.publish(payload, channel) for _ in range(count)]))
        else:
            batch = glide.Batch(is_atomic=False)
            for _ in range(count):
                batch.publish(payload, channel)
            wrong += sum(await client.exec(batch, raise_on_error=True))
    watch.end()
    watch.report(args.count, wrong)
    await client.close()


if __name__ == "__main__":
    options = driver.parse(__doc__)
    driver.refuse_threads(options)
    asyncio.run((receive if options.mode == "receive" else publish)(options))
