"""A client of live endpoints (Server-Sent Events) for tests: over a raw socket, so that it can also be slow, and can be cut at any moment."""
import json
import socket
import ssl
import time
import urllib.parse


class Refused(Exception):
    """An answer whose status is not 200."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Follower:
    """What events add up to is in `rows`, the last one's id in `id`."""

    def __init__(self, last, before):
        self.id = last
        self.rows = None if before is None else list(before)  # of the client that resumes

    def _apply(self, name, data):
        if name == "snapshot":
            self.rows = data
        elif name == "change" and "removed_at" in data:
            assert [self.rows[at] for at in data["removed_at"]] == data["removed"]
            for at in reversed(data["removed_at"]):
                del self.rows[at]
            for at, row in zip(data["added_at"], data["added"]):
                self.rows.insert(at, row)
        elif name == "change":
            for row in data["removed"]:
                self.rows.remove(row)  # raises where it is not there
            self.rows.extend(data["added"])

    def until(self, condition, seconds=30):
        """Reads events until `condition(rows)`. Gives how many that took."""
        deadline = time.monotonic() + seconds
        count = 0
        while self.rows is None or not condition(self.rows):
            assert self.event(max(0.01, deadline - time.monotonic())) is not None, "the stream ended"
            count += 1
        return count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Live(Follower):
    """One connection. Events come as (name, id, data)."""

    def __init__(self, url, path, last=None, headers=None, receive_bytes=None, before=None, timeout=30, context=None):
        super().__init__(last, before)
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect((parts.hostname, parts.port))
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)
        lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "Accept: text/event-stream", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        if last is not None:
            lines.append(f"Last-Event-ID: {last}")
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode() + b"\r\n")
        self.raw = b""     # received, chunk framing and all
        self.text = b""    # of the stream, not yet taken
        self.over = False  # the stream ended in good order
        self.retry, self.comments = None, 0
        head = self._until(b"\r\n\r\n").decode()
        self.status = int(head.split()[1])
        self.headers = {line.split(": ")[0].lower(): line.split(": ")[1] for line in head.split("\r\n")[1:] if ": " in line}
        if self.status != 200:
            length = int(self.headers["content-length"])
            while len(self.raw) < length:
                self._receive()
            raise Refused(self.status, json.loads(self.raw[:length]))
        assert self.headers["content-type"] == "text/event-stream"

    def _receive(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise ConnectionError("the server closed")
        self.raw += got

    def _until(self, end):
        while end not in self.raw:
            self._receive()
        found, _, self.raw = self.raw.partition(end)
        return found

    def _chunk(self):
        size = int(self._until(b"\r\n"), 16)
        while len(self.raw) < size + 2:
            self._receive()
        self.text += self.raw[:size]
        self.raw = self.raw[size + 2:]
        self.over = size == 0

    def event(self, timeout=30):
        """The next event, applied to `rows`; None: the stream ended in good order. Raises TimeoutError."""
        self.socket.settimeout(timeout)
        while True:
            while b"\n\n" not in self.text:
                if self.over:
                    assert self.text == b""
                    return None
                self._chunk()
            block, _, self.text = self.text.partition(b"\n\n")
            name, data = None, []
            for line in block.decode().split("\n"):
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "":
                    self.comments += 1
                elif field == "event":
                    name = value
                elif field == "id":
                    self.id = value
                elif field == "retry":
                    self.retry = int(value)
                elif field == "data":
                    data.append(value)
                else:
                    raise AssertionError(line)
            if name is None:
                assert not data
                continue
            data = json.loads("\n".join(data))
            self._apply(name, data)
            return name, self.id, data

    def close(self):
        self.socket.close()


def step_of(identifier):
    return int(identifier.split("-")[0])


def bag(rows):
    return sorted(json.dumps(row, sort_keys=True) for row in rows)
