"""An ASGI application with one chat room, for test_channels_fleet.py. The environment says which layer, and where Redis is."""

import os

import django
from channels.routing import ProtocolTypeRouter
from django.conf import settings

layer = {"BACKEND": os.environ["LAYER"], "CONFIG": {"hosts": [os.environ["REDIS_OF_LAYER"]]}}
settings.configure(CHANNEL_LAYERS={"default": layer}, INSTALLED_APPS=["channels"], DATABASES={}, ALLOWED_HOSTS=["*"])
django.setup()

from channels_chat import Chat  # noqa: E402

application = ProtocolTypeRouter({"websocket": Chat.as_asgi()})
