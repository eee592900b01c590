"""fanwire: a Redis fan-out engine.

    import asyncio, fanwire

    async def main():
        async with fanwire.open("redis://127.0.0.1") as bus:
            messages = bus.subscribe("chat")
            await messages.ready
            await bus.publish("chat", "hello")
            async for message in messages:
                print(message.channel, message.text)
                break

    asyncio.run(main())

open() and connect() are for asyncio, Client for blocking programs. Each failure is a FanwireError of a class of its own.
"""

from . import _native, errors
from ._aio_request import Request
from ._aio_stream import Stream
from ._aio_subscription import Subscription
from ._client_request import ClientRequest
from ._client_subscription import ClientStream, ClientSubscription
from ._codecs import Codec
from ._envelope import Envelope
from ._events import Event
from ._health import Health, Latencies, Latency, Verdict
from ._json import Json
from ._native import Message, clean_json, dependencies
from ._replies import Replies
from ._settings import Setting, effective_settings, settings
from .aio import Bus, connect
from .aio import open as open
from .client import Client
from .engine import Engine
from .errors import *  # noqa: F403

__version__ = _native.version()

# Without `open`, which a star import would put in the place of Python's own.
__all__ = [
    "Bus",
    "Client",
    "ClientRequest",
    "ClientStream",
    "ClientSubscription",
    "Codec",
    "Engine",
    "Envelope",
    "Event",
    "Health",
    "Json",
    "Latencies",
    "Latency",
    "Message",
    "Replies",
    "Request",
    "Setting",
    "Stream",
    "Subscription",
    "Verdict",
    "__version__",
    "clean_json",
    "connect",
    "dependencies",
    "effective_settings",
    "errors",
    "settings",
]
__all__ += errors.__all__
