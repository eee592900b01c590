"""A member of a fleet of channel layers, see fleet.py: what test_channels_fleet.py runs.

"BACKEND layer" has a channel in the group "room". "BACKEND consumers" has two WebSockets whose consumers are in it, in
Channels' own machinery.
"""

BACKENDS = {
    "fanwire": "fanwire.channels.FanwireChannelLayer",
    "channels_redis": "channels_redis.pubsub.RedisPubSubChannelLayer",
}


async def attempt(awaitable, name):
    """Says what became of it: a layer may refuse while Redis is away."""
    try:
        async with asyncio.timeout(10):
            await awaitable
        say(["done", name])
    except Exception as error:
        say(["failed", name, repr(error)])


async def be_layer(layer):
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    say(["channel", channel])

    async def receive():
        while True:
            say(["got", (await layer.receive(channel))["text"]])

    receiving = asyncio.create_task(receive())
    async for command in commands():
        message = {"type": "chat", "text": command["text"], "bytes": b"\x00\xff", "list": [1, None, 1.5]}
        if "to" in command:
            await attempt(layer.send(command["to"], message), command["text"])
        else:
            await attempt(layer.group_send("room", message), command["text"])
    receiving.cancel()
    await asyncio.wait([receiving])
    await layer.flush()


async def be_consumers():
    from channels.generic.websocket import WebsocketConsumer
    from channels.testing import WebsocketCommunicator
    from asgiref.sync import async_to_sync
    from channels_chat import Chat

    class SyncChat(WebsocketConsumer):
        def connect(self):
            async_to_sync(self.channel_layer.group_add)("room", self.channel_name)
            self.accept()

        def disconnect(self, code):
            async_to_sync(self.channel_layer.group_discard)("room", self.channel_name)

        def receive(self, text_data):
            async_to_sync(self.channel_layer.group_send)("room", {"type": "chat.message", "text": text_data})

        def chat_message(self, event):
            self.send(text_data=event["text"])

    async def forward(client):
        while True:
            say(["got", await client.receive_from(timeout=60)])

    clients = [WebsocketCommunicator(consumer.as_asgi(), "/") for consumer in (Chat, SyncChat)]
    for client in clients:
        await client.connect(timeout=10)
    say(["channel", ""])
    forwarding = [asyncio.create_task(forward(client)) for client in clients]
    async for command in commands():
        await clients[command["client"]].send_to(text_data=command["text"])
    for task in forwarding:
        task.cancel()
    await asyncio.wait(forwarding)
    for client in clients:
        await client.disconnect()


def main():
    import django
    from django.conf import settings

    backend, mode = kind.split()
    layers = {"default": {"BACKEND": BACKENDS[backend], "CONFIG": {"hosts": [url]}}}
    settings.configure(CHANNEL_LAYERS=layers, INSTALLED_APPS=["channels"], DATABASES={})
    django.setup()
    from channels.layers import get_channel_layer

    asyncio.run(be_layer(get_channel_layer()) if mode == "layer" else be_consumers())


main()
