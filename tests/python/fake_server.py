"""A server that speaks as much RESP as an engine asks for, and counts as Redis 7.2 does."""

import socket
import threading


class CountingServer:
    """Debian 12's Redis does not count the clients that it closed for their output buffer; this one says it does."""

    def __init__(self):
        self._kills = 0
        self._connections = 0
        self._subscribers = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def kill_for_output_buffer(self):
        """Closes the subscribers' connections."""
        with self._lock:
            self._kills += len(self._subscribers)
            while self._subscribers:
                self._subscribers.pop().shutdown(socket.SHUT_RDWR)

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as commands:
            while head := commands.readline():
                words = [commands.read(int(commands.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
                try:
                    connection.sendall(self._answer(words, connection))
                except OSError:
                    return

    def _answer(self, words, connection):
        with self._lock:
            match words[0].upper():
                case b"PING" if connection in self._subscribers:
                    return b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
                case b"PING":
                    return b"+PONG\r\n"
                case b"INFO":
                    info = (
                        f"# Stats\r\ntotal_connections_received:{self._connections}\r\n"
                        f"client_output_buffer_limit_disconnections:{self._kills}\r\n"
                    ).encode()
                    return b"$%d\r\n%s\r\n" % (len(info), info)
                case b"SUBSCRIBE":
                    self._subscribers.append(connection)
                    return b"".join(
                        b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:%d\r\n" % (len(name), name, number)
                        for number, name in enumerate(words[1:], 1)
                    )
                case _:
                    return b"+OK\r\n"
