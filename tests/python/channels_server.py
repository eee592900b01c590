"""An ASGI application with one chat room, for test_channels_fleet.py. The environment says which layer, and where Redis is."""

import os

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter
from django.conf import settings

layer = {"BACKEND": os.environ["LAYER"], "CONFIG": {"hosts": [os.environ["REDIS_OF_LAYER"]]}}
settings.configure(CHANNEL_LAYERS={"default": layer}, INSTALLED_APPS=["channels"], DATABASES={}, ALLOWED_HOSTS=["*"])
django.setup()


class Chat(AsyncWebsocketConsumer):
    async def connect(self):
        await self.channel_layer.group_add("room", self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard("room", self.channel_name)

    async def receive(self, text_data):
        await self.channel_layer.group_send("room", {"type": "chat.message", "text": text_data})

    async def chat_message(self, event):
        await self.send(text_data=event["text"])


application = ProtocolTypeRouter({"websocket": Chat.as_asgi()})
