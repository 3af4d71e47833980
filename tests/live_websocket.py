"""A client of live endpoints over WebSockets for tests: Python's package of that name."""
import contextlib
import json
import urllib.parse

import websockets.exceptions
import websockets.sync.client

from live import Follower, Refused


class LiveWebSocket(Follower):
    """As live.Live, over a WebSocket. `more`: arguments of websockets.sync.client.connect."""

    def __init__(self, url, path, last=None, before=None, context=None, **more):
        super().__init__(last, before)
        self.stack = contextlib.ExitStack()
        if last is not None:
            path += ("&" if "?" in path else "?") + urllib.parse.urlencode({"last_event_id": last})
        try:
            connecting = websockets.sync.client.connect("ws" + url.removeprefix("http") + path, max_size=None, ssl=context, **more)
            self.socket = self.stack.enter_context(connecting)
        except websockets.exceptions.InvalidStatus as refused:
            response = refused.response
            raise Refused(response.status_code, json.loads(response.body)) from None

    def event(self, timeout=30):
        """The next event, applied to `rows`; None: the server closed, see `closed`. Raises TimeoutError."""
        try:
            message = json.loads(self.socket.recv(timeout))
        except websockets.exceptions.ConnectionClosed:
            return None
        self.id = message.get("id", self.id)
        self._apply(message["event"], message["data"])
        return message["event"], self.id, message["data"]

    @property
    def closed(self):
        """The close code and reason that the server gave."""
        return self.socket.protocol.close_rcvd.code, self.socket.protocol.close_rcvd.reason

    def close(self):
        self.stack.close()
