"""Live endpoints over WebSockets: real clients (Python's websockets, Node.js with the WebSocket of browsers) and bytes that no client would send."""
import asyncio
import base64
import concurrent.futures
import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import time
import urllib.parse

import pytest
import websockets.asyncio.client

from live import Live, Refused, bag, step_of
from live_websocket import LiveWebSocket
from test_access import access, bearer, token, within_seconds
from test_live import SQL, memory_bytes, move, send

PROTOCOL = "millrace.live.v1"


@pytest.fixture
def node(make_node):
    node = make_node(SQL)
    node.start()
    return node


def test_messages_add_up_to_asking_again_and_to_what_events_say(node, seed):
    choose = random.Random(seed)
    paths = ["/balances", "/balances/3", "/top", "/top?n=5", "/words"]
    send(node, (0, 1, 2, 10))
    sockets = {path: LiveWebSocket(node.url, path) for path in paths}
    events = {path: Live(node.url, path) for path in paths}
    for path in paths:
        name, identifier, data = sockets[path].event()
        assert name == "snapshot" and step_of(identifier) >= 0 and data == node.get(path), path
        assert events[path].event() == (name, identifier, data), path
    for number in range(1, 60):
        if choose.random() < 0.3:
            word = choose.choice(["tea", "a \"quoted\" word", "two\nlines", "", "ü"]).replace("'", "''")
            node.sql(choose.choice([f"INSERT INTO words VALUES ({number}, '{word}')", f"DELETE FROM words WHERE id % 7 = {number % 7}"]))
        else:
            send(node, *[(number * 100 + i, choose.randrange(8), choose.randrange(8), choose.randrange(20)) for i in range(choose.choice([1, 1, 5]))])
        path = choose.choice(paths)
        wanted = node.get(path)
        for reader in (sockets[path], events[path]):
            reader.until(lambda rows: rows == wanted if path.startswith("/top") else bag(rows) == bag(wanted))
        assert sockets[path].id == events[path].id
    for reader in [*sockets.values(), *events.values()]:
        reader.close()
    within_seconds(lambda: node.metric("http_live_readers") == 0)
    node.stop()


def test_a_large_snapshot_comes_whole_and_in_parts(node):
    node.sql("INSERT INTO words SELECT i, repeat('ü', 100) FROM range(20000) t(i)")
    with LiveWebSocket(node.url, "/words") as reader:
        assert reader.event()[0] == "snapshot" and bag(reader.rows) == bag(node.get("/words"))
        parts = list(LiveWebSocket(node.url, "/words").socket.recv_streaming())
        assert len(parts) > 20 and max(len(part) for part in parts) < 100_000 and bag(json.loads("".join(parts))["data"]) == bag(reader.rows)
    node.stop()


def test_while_the_node_lives_missed_changes_come_as_such(node):
    number = 0
    reader = LiveWebSocket(node.url, "/balances")
    reader.event()
    keeper = LiveWebSocket(node.url, "/balances")
    keeper.event()
    last, rows = reader.id, reader.rows
    reader.close()
    for _ in range(3):
        number += 1
        send(node, (number, 1, 2, 1))
        keeper.event()
    reader = LiveWebSocket(node.url, "/balances", last=last, before=rows)
    wanted, names = bag(node.get("/balances")), []
    while bag(reader.rows) != wanted:
        names.append(reader.event()[0])
    assert names and set(names) == {"change"}
    node.stop()


def test_what_ends_it_and_with_which_code(node):
    node.sql("CREATE ENDPOINT halves ON GET '/halves' AS SELECT account, balance FROM balances")
    send(node, (0, 1, 2, 10))
    reader = LiveWebSocket(node.url, "/halves")
    reader.event()
    node.sql("DROP ENDPOINT halves")
    name, _, data = reader.event()
    assert name == "error" and data["error"]["code"] == "not_found"
    assert reader.event() is None and reader.closed[0] == 1011 and "nothing at" in reader.closed[1]
    readers = [LiveWebSocket(node.url, "/balances") for _ in range(20)]
    for reader in readers:
        reader.event()
    readers[0].close()  # the client: it is answered with its own code
    assert readers[0].closed[0] == 1000
    begin = time.monotonic()
    node.stop()
    assert time.monotonic() - begin < 5
    for reader in readers[1:]:
        assert reader.event() is None and reader.closed == (1001, "the node is stopping")


def test_a_handshake_that_fails_is_answered_in_http(node):
    for path, status, words in [("/balances/x", 400, "account"), ("/top?n=11", 400, "CHECK"), ("/top?m=1", 400, '"m"'), ("/nothing", 404, "nothing at")]:
        with pytest.raises(Refused) as refused:
            LiveWebSocket(node.url, path)
        assert refused.value.status == status and words in json.dumps(refused.value.body, ensure_ascii=False).replace('\\"', '"'), refused.value
    with pytest.raises(Refused) as refused:
        LiveWebSocket(node.url, "/top", origin="http://elsewhere.example")
    assert refused.value.status == 403 and "elsewhere" in refused.value.body["error"]["message"]
    LiveWebSocket(node.url, "/top", origin=node.url).close()
    with pytest.raises(Refused) as refused:
        LiveWebSocket(node.url, "/top", subprotocols=["chat"])
    assert refused.value.status == 400
    with LiveWebSocket(node.url, "/top", subprotocols=["chat", PROTOCOL]) as reader:
        assert reader.socket.subprotocol == PROTOCOL
    node.stop()


def status_of(node, path, **more):
    try:
        LiveWebSocket(node.url, path, **more).close()
    except Refused as refused:
        return refused.status
    return 101


def test_tokens_come_as_a_header_or_as_a_subprotocol_and_are_never_told(node):
    reader_token, other = token(node, "read:all_balances"), token(node, "read:all_words")
    within_seconds(lambda: status_of(node, "/balances") == 401)
    offered = {"subprotocols": [PROTOCOL, f"bearer.{reader_token}"]}
    assert status_of(node, "/balances", subprotocols=[PROTOCOL, f"bearer.{other}"]) == 403
    assert status_of(node, "/balances", subprotocols=[PROTOCOL, "bearer.mr_1_wrong"]) == 401
    assert status_of(node, "/balances", subprotocols=[f"bearer.{reader_token}"]) == 400  # a browser would end it: it wants one back
    assert status_of(node, "/balances", additional_headers=bearer(reader_token)) == 101
    assert status_of(node, "/words", **offered) == 403
    reader = LiveWebSocket(node.url, "/balances", **offered)
    assert reader.socket.subprotocol == PROTOCOL and reader_token not in str(reader.socket.response.headers)
    reader.event()
    access(node, "token", "revoke", reader_token.split("_")[1])
    within_seconds(lambda: status_of(node, "/balances", **offered) == 401)
    ingest = token(node, "ingest:moves")
    within_seconds(lambda: status_of(node, "/balances", additional_headers=bearer(ingest)) == 403)
    node.request("POST", "/v1/streams/moves?wait=visible", move(0, 1, 2, 3).encode(), {"Content-Type": "application/json", **bearer(ingest)})
    name, _, data = reader.event()
    assert name == "error" and data["error"]["code"] == "unauthenticated" and reader.rows == []
    assert reader.event() is None and reader.closed[0] == 1008
    node.stop()
    secrets = [text.split("_")[2] for text in (reader_token, other, ingest)]
    assert not any(secret in line for line in node.stderr for secret in secrets)


class RawSocket:
    """A client that has shaken hands, and then sends what it is told to."""

    def __init__(self, url, path, receive_bytes=None):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.socket()
        self.socket.settimeout(30)
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect((parts.hostname, parts.port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
        self.raw = b""

    def receive(self, size):
        while len(self.raw) < size:
            got = self.socket.recv(1 << 16)
            if not got:
                raise EOFError
            self.raw += got
        taken, self.raw = self.raw[:size], self.raw[size:]
        return taken

    def head(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.receive(1)
        return head

    def frame(self):
        """(first byte, payload). Raises EOFError."""
        first, length = self.receive(2)
        if length == 126:
            length, = struct.unpack(">H", self.receive(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.receive(8))
        return first, self.receive(length)

    def close_code(self):
        """Reads to the end."""
        code = None
        try:
            while True:
                first, payload = self.frame()
                assert code is None, "a frame after the close"
                if first == 0x88:
                    code = struct.unpack(">H", payload[:2])[0] if payload else 1005
        except EOFError:
            return code


def client_frame(first, payload, mask=b"mask"):
    length = len(payload)
    head = bytes([first, 0x80 | length]) if length < 126 else bytes([first, 0xfe]) + struct.pack(">H", length)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def test_bytes_that_break_the_protocol_end_one_connection_and_say_why(node, seed):
    choose = random.Random(seed)
    send(node, (0, 1, 2, 10))
    steady = LiveWebSocket(node.url, "/balances")
    steady.event()
    cases = [(client_frame(0x81, b"hello"), 1003), (client_frame(0x82, b"\x00"), 1003), (client_frame(0x81, b"\xff\xfe"), 1007), (b"\x81\x05hello", 1002),
             (client_frame(0xc1, b"x"), 1002), (client_frame(0x83, b"x"), 1002), (client_frame(0x09, b"x"), 1002), (client_frame(0x89, b"x" * 126), 1002),
             (client_frame(0x80, b"x"), 1002), (client_frame(0x01, b"x") + client_frame(0x81, b"x"), 1002), (client_frame(0x88, b"\x03"), 1002),
             (client_frame(0x88, struct.pack(">H", 1005)), 1002), (client_frame(0x88, struct.pack(">H", 1000) + b"\xff"), 1007),
             (b"\x82\xff" + struct.pack(">Q", 1 << 40), 1009), (client_frame(0x88, b""), 1005), (client_frame(0x88, struct.pack(">H", 4321)), 4321)]
    for sent, code in cases:
        client = RawSocket(node.url, "/balances")
        assert client.head().startswith(b"HTTP/1.1 101 ") and client.frame()[0] == 0x81
        for byte in range(0, len(sent), 7):
            client.socket.sendall(sent[byte:byte + 7])
        assert client.close_code() == code, (sent, code)
    # Noise: whatever it is, it ends this connection only.
    for _ in range(100):
        client = RawSocket(node.url, "/balances")
        client.head()
        try:
            client.socket.sendall(choose.randbytes(choose.randrange(1, 2000)))
            client.socket.shutdown(socket.SHUT_WR)
            assert client.close_code() in (None, 1002, 1003, 1007, 1009, *range(3000, 5000), 1000, 1001)
        except OSError:
            pass  # it was reset: nothing that matters to a client like this
        client.socket.close()
    assert node.get("/healthz") == {"status": "ok"}
    send(node, (1, 1, 2, 1))
    assert steady.event()[0] == "change"
    steady.close()
    within_seconds(lambda: node.metric("http_live_readers") == 0)
    node.stop()


def test_a_client_that_never_reads_is_bounded_gets_the_newest_and_harms_nobody(node):
    rows = 4000
    node.sql(f"INSERT INTO words SELECT i, repeat('x', 100) FROM range({rows}) t(i)")
    slow = RawSocket(node.url, "/words", receive_bytes=4096)
    quick = LiveWebSocket(node.url, "/words")
    quick.event()
    before = memory_bytes(node)
    for number in range(60):
        slow.socket.sendall(client_frame(0x89, b"are you there"))
        node.sql(f"UPDATE words SET word = '{number}' || repeat('y', 100)")
        quick.until(lambda rows: rows and all(row["word"].startswith(f"{number}y") for row in rows))
    assert node.metric("http_live_memory_bytes") < 16 << 20
    node.sql("UPDATE words SET word = 'the end'")
    quick.until(lambda rows: rows[0]["word"] == "the end")
    assert memory_bytes(node) - before < 300 << 20
    # Then it reads after all: pongs, and few of the contents that there were.
    slow.head()
    contents, pongs, message = 0, 0, b""
    while b'"the end"' not in message or not message.endswith(b"}"):
        first, payload = slow.frame()
        if first & 0x0f == 0xa:
            pongs += 1
            continue
        message = (b"" if first & 0x0f == 0x1 else message) + payload
        contents += first & 0x80 != 0
    assert contents < 60 and 1 <= pongs <= 60 and node.metric("http_live_coalesced_total") >= 1
    slow.socket.close()
    quick.close()
    within_seconds(lambda: node.metric("http_live_readers") == 0)
    node.stop()


def test_three_hundred_clients_on_one_event_loop(node):
    send(node, (0, 1, 2, 10))
    url = "ws" + node.url.removeprefix("http") + "/both"

    async def follow(clients, changes):
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(websockets.asyncio.client.connect(url)) for _ in range(clients)]
            for each in sockets:
                assert json.loads(await each.recv())["event"] == "snapshot"
            loop = asyncio.get_running_loop()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                for number in range(1, changes + 1):
                    await loop.run_in_executor(pool, send, node, (number, 1, 2, 1))
                    for message in await asyncio.gather(*[each.recv() for each in sockets]):
                        assert json.loads(message)["data"]["added"][0]["counted"] == number + 1

    before = node.metric("http_live_evaluations_total")
    asyncio.run(follow(300, 10))
    assert node.metric("http_live_evaluations_total") - before <= 31
    within_seconds(lambda: node.metric("http_live_readers") == 0)
    node.stop()


BROWSER = """
const [url, ...protocols] = process.argv.slice(1);
const socket = new WebSocket(url, protocols);
socket.onopen = () => console.log("open", socket.protocol);
socket.onmessage = message => {
  const {event, data} = JSON.parse(message.data);
  console.log(event, JSON.stringify(data));
  if (event === "change") socket.close(4000, "enough");
};
socket.onclose = close => console.log("close", close.code, close.wasClean);
"""


def test_the_websocket_of_browsers_in_node_js(node):
    reader_token, ingest = token(node, "read:all_balances"), token(node, "ingest:moves")
    within_seconds(lambda: status_of(node, "/balances") == 401)
    url = "ws" + node.url.removeprefix("http") + "/balances"
    script = subprocess.Popen(["node", "--experimental-websocket", "-e", BROWSER, "--", url, PROTOCOL, f"bearer.{reader_token}"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    assert script.stdout.readline().split() == ["open", PROTOCOL], script.stderr.read()
    assert script.stdout.readline() == "snapshot []\n"
    node.request("POST", "/v1/streams/moves", move(0, 1, 2, 3).encode(), {"Content-Type": "application/json", **bearer(ingest)})
    name, _, data = script.stdout.readline().partition(" ")
    assert name == "change" and [row["account"] for row in json.loads(data)["added"]] in ([1, 2], [2, 1])
    assert script.stdout.readline() == "close 4000 true\n" and script.wait(20) == 0
    node.stop()
