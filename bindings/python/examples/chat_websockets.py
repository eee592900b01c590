"""A chat with rooms, with the package websockets, over any number of processes.

    pip install fanwire websockets
    python chat_websockets.py 8001 &
    python chat_websockets.py 8002 &

Clients connect to ws://127.0.0.1:8001/rooms/NAME, send text, and get JSON. Redis is where FANWIRE_URL or REDIS_URL says.
"""

import asyncio
import json
import signal
import sys

import fanwire
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def main(port):
    # A client that reads too slowly fills its own inbox and nothing else: it misses messages and gets a gap.
    async with fanwire.open(namespace="chat", inbox_count=1000) as bus:

        async def room(socket):
            name = socket.request.path.removeprefix("/rooms/")
            async with bus.subscribe(name) as messages:
                sending = asyncio.create_task(send(socket, messages))
                try:
                    async for text in socket:
                        try:
                            await bus.publish(name, text)
                        except fanwire.FanwireError as error:  # Redis is away, and has been for publish_timeout_ms
                            await socket.send(json.dumps({"event": "failed", "text": text, "error": str(error)}))
                except ConnectionClosed:
                    pass
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)

        async def metrics(connection, request):
            if request.path == "/metrics":
                return connection.respond(200, bus.metrics())
            if not request.path.startswith("/rooms/") or not 0 < len(request.path) - len("/rooms/") <= 100:
                return connection.respond(404, "the rooms are at /rooms/NAME\n")

        async with serve(room, "127.0.0.1", port, process_request=metrics, max_size=4096) as server:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
            await server.wait_closed()


async def send(socket, messages):
    async for item in messages.events():
        if isinstance(item, fanwire.Message):
            await socket.send(json.dumps({"text": item.data.decode(errors="replace")}))
        elif item.kind in ("active", "lost", "gap", "resumed"):
            await socket.send(json.dumps({"event": item.kind}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
