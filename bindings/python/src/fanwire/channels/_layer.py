"""The channel layer."""

from __future__ import annotations

import asyncio
import inspect
import os
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import fanwire
from asgiref.sync import AsyncToSync
from channels.exceptions import ChannelFull  # type: ignore[import-untyped]
from channels.layers import BaseChannelLayer  # type: ignore[import-untyped]

from ._engines import Engines, aclose
from ._hosts import hosts_of, index_of
from ._loop_layer import LoopLayer
from ._losses import OnLoss
from ._serializers import BaseMessageSerializer, Keys, registry
from ._topics import Channel, Group

# Messages go nowhere else, so nobody needs a channel to linger, and a consumer waits for it to come back.
_DEFAULTS = {
    "namespace": "",
    "channel_rules": "lax",
    "unsubscribe_linger_ms": 0,
    "max_reconnect_delay_ms": 1000,
}

_CAPACITY = 10_000

# Those that async_to_sync() runs, where nobody else does.
_loops_of_one_call: Mapping[asyncio.AbstractEventLoop, object] = getattr(AsyncToSync, "loop_thread_executors", {})

OnConnection = Callable[[fanwire.Event], object] | Callable[[], object]


class FanwireChannelLayer(BaseChannelLayer):  # type: ignore[misc]
    """A channel layer over fanwire, in one fleet with those of channels_redis.pubsub.RedisPubSubChannelLayer.

    The arguments are that layer's, in CHANNEL_LAYERS["default"]["CONFIG"]:

    - hosts: URLs, (host, port), or dicts of an "address" and whatever redis-py takes for a connection, or fanwire
    - prefix of all names in Redis
    - serializer_format: "msgpack", "json", or what is registered with fanwire.channels.registry
    - symmetric_encryption_keys: a list; the first one encrypts, all of them decrypt
    - on_disconnect, on_reconnect: the type of a message that each channel of this process then receives, or a function
      that is called with the Event. on_reconnect comes when all channels and groups are subscribed again

    and of the layer specification:

    - capacity: the most messages that a channel of this process holds, and channel_capacity: the same for names that
      match a glob or a compiled regular expression. A send() to a full channel of the same process raises ChannelFull.
      What comes from elsewhere, and what group_send() sends, is dropped and reported
    - expiry: seconds after which a message that nobody has received is dropped and reported; None: never
    - group_expiry: seconds after which a channel leaves a group, unless it was added again; None: never

    and of this one:

    - on_loss: called with each Loss, or the type of a message for the channels that have missed something, with the
      keys reason, group and count. Without it, losses are logged ("fanwire.channels")
    - all settings of fanwire, for each host that does not say otherwise: see fanwire.settings()

    Event loops and threads share one engine, hence two connections, for each host. They are opened by the first call,
    again after a fork, and closed by flush(), or when the process ends.
    """

    extensions = ["groups", "flush"]

    def __init__(
        self,
        hosts: Iterable[Any] | None = None,
        prefix: str = "asgi",
        on_disconnect: str | OnConnection | None = None,
        on_reconnect: str | OnConnection | None = None,
        *,
        on_loss: str | OnLoss | None = None,
        symmetric_encryption_keys: Keys | None = None,
        serializer_format: str = "msgpack",
        capacity: int = _CAPACITY,
        channel_capacity: Mapping[Any, int] | None = None,
        expiry: float | None = 60,
        group_expiry: float | None = 86400,
        random_prefix_length: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(expiry=expiry, capacity=capacity)
        self.channel_capacity = self.compile_capacities(channel_capacity or {})  # a list from here on, as elsewhere
        self.prefix = prefix
        self.group_expiry = group_expiry
        self.on_disconnect = on_disconnect
        self.on_reconnect = on_reconnect
        self.on_loss = on_loss
        self._disconnect_hearer = _hearer_of("on_disconnect", on_disconnect)
        self._reconnect_hearer = _hearer_of("on_reconnect", on_reconnect)
        self._loss_hearer = _hearer_of("on_loss", on_loss)
        for limit in (capacity, *(limit for _, limit in self.channel_capacity)):
            if not isinstance(limit, int) or limit < 1:
                raise fanwire.InvalidArgumentError(f"a capacity must be a whole number from 1 up, not {limit!r}")
        for what, seconds in (("expiry", expiry), ("group_expiry", group_expiry)):
            if seconds is not None and (not isinstance(seconds, (int, float)) or not seconds >= 0):
                raise fanwire.InvalidArgumentError(f"{what} must be a number of seconds, or None, not {seconds!r}")
        self._serializer = registry.get_serializer(
            serializer_format, symmetric_encryption_keys=symmetric_encryption_keys
        )
        self._opening = _opening_of(self._serializer)
        self._to_payload = _sealing_of(self._serializer)

        all_hosts = hosts_of(hosts, {**_DEFAULTS, **settings})
        self._confirm_s = max(host.publish_timeout_s for host in all_hosts)
        self._engines = Engines(all_hosts)
        self._layers: dict[asyncio.AbstractEventLoop, LoopLayer] = {}
        self._begun: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()  # of one call, with a message sent
        self._channels: dict[str, Channel] = {}  # of all event loops
        weakref.finalize(self, self._engines.close).atexit = False
        _layers.add(self)

    # ---- The layer specification

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """As flush(), for whoever uses a layer of their own in a block."""
        await self.flush()

    async def send(self, channel: str, message: Any) -> None:
        """Sends a message to a channel. Raises ChannelFull when that is one of this process, and full.

        Done when Redis has the message. While Redis is away it waits, for publish_timeout_ms at most, and then raises a
        TimeoutError.
        """
        payload = self._to_payload(message)
        loop = asyncio.get_running_loop()
        local = self._channels.get(channel)
        if local is None:
            await self._publish(loop, channel, payload)
            return
        if local.is_full(local.layer._loop is loop):
            raise ChannelFull(f"{channel!r} holds {local.capacity} messages that nobody has received")
        local.under_way.append(None)
        receivers = 0
        try:
            receivers = await self._publish(loop, channel, payload)
        finally:
            if receivers == 0:
                local.note_arrival()

    async def receive(self, channel: str) -> Any:
        """Returns the next message of a channel, subscribed if it is not one of this event loop yet.

        Of several that wait, one gets it. When the last one that waits is cancelled the channel is unsubscribed and out
        of its groups; to receive from it again soon afterwards takes it up again.
        """
        return await self._get_layer().receive(channel)

    async def new_channel(self, prefix: str = "specific.") -> str:
        """Returns the name of a new channel, which Redis has confirmed by then: messages for it wait for receive()."""
        return await self._get_layer().new_channel(prefix)

    async def group_add(self, group: str, channel: str) -> None:
        """Adds a channel of this event loop to a group, which Redis has confirmed by then; RuntimeError for others."""
        await self._get_layer().group_add(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """Takes a channel out of a group, if it is in there."""
        await self._get_layer().group_discard(group, channel)

    async def group_send(self, group: str, message: Any) -> None:
        """Sends a message to all channels of a group, wherever they are. Never raises ChannelFull."""
        payload = self._to_payload(message)
        await self._publish(asyncio.get_running_loop(), f"{self.prefix}__group__{group}", payload)

    async def flush(self) -> None:
        """Forgets the channels and groups of this event loop, as if the layer were new; it may be used again.

        Closes the connections, unless another event loop has channels.
        """
        layer = self._layers.get(asyncio.get_running_loop())
        if layer is not None:
            await layer.flush()
        with self._engines.lock:
            is_used = any(other.channels for other in list(self._layers.values()))
            engines = [] if is_used else self._engines.take()
        await aclose(engines)

    def get_capacity(self, channel: str) -> int:
        """That of the first pattern that matches the channel, or its name without the prefix; or else the default."""
        for pattern, capacity in self.channel_capacity:
            if pattern.match(channel) or pattern.match(channel.removeprefix(self.prefix)):
                limit: int = capacity
                return limit
        default: int = self.capacity
        return default

    # ---- What channels_redis's layer has besides

    def serialize(self, message: Any) -> bytes:
        """The payload of a message."""
        return self._serializer.serialize(message)

    def deserialize(self, payload: bytes) -> Any:
        """The message of a payload."""
        return self._serializer.deserialize(payload)

    @property
    def channels(self) -> dict[str, Channel]:
        """Those of the running event loop, by their names."""
        return self._get_layer().channels

    @property
    def groups(self) -> dict[str, Group]:
        """Those with channels of the running event loop, by their names in Redis."""
        return self._get_layer().groups

    def engines(self) -> list[fanwire.Engine]:
        """The engines that it works with, one for each host: for health(), stats() and metrics()."""
        return list(self._engines.get())

    # ---- Event loops

    def _get_layer(self) -> LoopLayer:
        """That of the running event loop."""
        loop = asyncio.get_running_loop()
        layer = self._layers.get(loop)
        if layer is None:
            layer = LoopLayer(self, loop)
            for other in list(self._layers):
                if other.is_closed():
                    self._end_layer(other)
            self._layers[loop] = layer
            _call_at_close(loop, self)
        return layer

    def _end_layer(self, loop: asyncio.AbstractEventLoop) -> None:
        layer = self._layers.pop(loop, None)
        if layer is not None:
            layer.shut()

    async def _publish(self, loop: asyncio.AbstractEventLoop, name: str, payload: bytes) -> int:
        layer = self._layers.get(loop)
        if layer is None:
            if loop in _loops_of_one_call and loop not in self._begun:
                self._begun.add(loop)
                receivers = self._publish_at_once(name, payload)
                if receivers is not None:
                    return receivers
            layer = self._get_layer()
        try:
            return await layer.publish(name, payload)
        except fanwire.ClosedError:
            if not layer.is_outdated():
                raise
            return await layer.publish(name, payload)

    def _publish_at_once(self, name: str, payload: bytes) -> int | None:
        """Publishes the first message of an event loop that async_to_sync() has made for one call; None: not yet.

        Nobody else runs in there, so this thread may as well wait itself. It saves what a bus and a part of the layer cost.
        """
        engines = self._engines.get()
        engine = engines[0 if len(engines) == 1 else index_of(name, len(engines))]
        if not engine.connected:
            return None
        try:
            return engine.publish(name, payload)
        except fanwire.ClosedError:  # by a flush() in another thread
            return None

    def _forget_forked(self) -> None:
        """The process is a forked child: what is here is of its parent."""
        self._layers = {}
        self._channels = {}


_layers: weakref.WeakSet[FanwireChannelLayer] = weakref.WeakSet()


def _call_at_close(loop: asyncio.AbstractEventLoop, layer: FanwireChannelLayer) -> None:
    """Has the layer end its part in the loop when that is closed, which nothing else says."""
    close = loop.close
    weak = weakref.ref(layer)

    def end_and_close(loop: asyncio.AbstractEventLoop) -> None:
        layer = weak()
        if layer is not None and not loop.is_running():
            layer._end_layer(loop)
        vars(loop).pop("close", None)
        close()

    try:
        loop.close = types.MethodType(end_and_close, loop)  # type: ignore[method-assign]
    except AttributeError:  # it has no room for it: its part is ended when another loop needs one
        pass


def _opening_of(serializer: Any) -> tuple[bool, Callable[[bytes], bytes], Callable[[bytes], Any]]:
    """Whether payloads are encrypted, what decrypts them, and what makes messages of them."""
    if isinstance(serializer, BaseMessageSerializer) and serializer.crypter is not None:
        return True, serializer.unseal, serializer.from_bytes
    return False, bytes, serializer.deserialize


def _sealing_of(serializer: Any) -> Callable[[Any], bytes]:
    if isinstance(serializer, BaseMessageSerializer) and not serializer.crypter and not serializer.random_prefix_length:
        return serializer.as_bytes
    serialize: Callable[[Any], bytes] = serializer.serialize
    return serialize


def _hearer_of(what: str, function: Any) -> str | Callable[[Any], object] | None:
    """A function of one argument, also of one that takes none."""
    if function is None or isinstance(function, str):
        return function
    if not callable(function):
        raise fanwire.InvalidArgumentError(f"{what} must be a message type or callable, not {type(function).__name__}")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return lambda _: function()
    except ValueError:  # it has none that can be seen
        pass
    call: Callable[[Any], object] = function
    return call


def _after_fork_in_child() -> None:
    for layer in list(_layers):
        layer._forget_forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
