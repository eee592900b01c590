"""The blocking calls, in a process whose Redis stands still: nothing is answered, and nothing ends."""

SETUP = """
client = fanwire.Client(url, publish_timeout_ms=100000, heartbeat_timeout_ms=100000)
stream = client.subscribe("a", on_event=lambda event: None)
stream.wait_ready()
client.publish("a", "x")
assert stream.get().text == "x"
os.kill({pid}, signal.SIGSTOP)
subscription = client.subscribe("b")
client.publish_nowait("b", "x")
unconnected = fanwire.Client(url, wait=False, connect_timeout_ms=100000)
"""

WAITS = [
    "list(stream)",
    "list(stream.events())",
    "next(stream.batches())",
    "stream.get()",
    "stream.get(timeout=100)",
    "client.publish('a', 'x')",
    "client.publish('a', 'x', timeout=100)",
    "client.numsub(['a'])",
    "client.request('a', 'x', timeout=100).all()",
    "next(client.request('a', 'x', timeout=None))",
    "subscription.wait_ready()",
    "subscription.wait_ready(timeout=100)",
    "unconnected.wait_connected()",
    "unconnected.wait_connected(timeout=100)",
    "fanwire.Client(url, connect_timeout_ms=100000)",
    "fanwire.Engine(url, wait=True, connect_timeout_ms=100000)",
    "client.close(None)",
    "client.close(100)",
]

END = """
for each in (client, unconnected):
    try:
        each.close(0)
    except (fanwire.TimeoutError, KeyboardInterrupt):
        pass
"""
