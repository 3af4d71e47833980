"""Thousands of connections that do nothing, little by little, or never read: memory stays bounded, and others are answered as before."""
import resource
import socket
import struct
import threading
import time
import urllib.parse

import pytest

from pg_node import host_port

PROJECT = """
CREATE TABLE pages (id INTEGER PRIMARY KEY, name VARCHAR);
CREATE ENDPOINT page ON GET '/pages/{id}' (id INTEGER) AS SELECT * FROM pages WHERE id = $id;
"""
IDLE = 5_000
PER_CLIENT_KIB_MAX = 40
HEAD = b"GET /pages/1 HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def node(make_node):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * IDLE:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * IDLE), hard))
    node = make_node(PROJECT)
    node.start()
    node.sql("INSERT INTO pages VALUES (1, 'one')")
    return node


def connect(node):
    url = urllib.parse.urlsplit(node.url)
    return socket.create_connection((url.hostname, url.port), timeout=60)


def connect_pg(node):
    return socket.create_connection(host_port(node), timeout=60)


def others_are_answered(node):
    for _ in range(20):
        begin = time.monotonic()
        assert node.get("/pages/1") == [{"id": 1, "name": "one"}]
        assert time.monotonic() - begin < 10  # of a machine that may have other work too


def test_five_thousand_idle_connections(node):
    before = node.memory_kib()
    clients = [connect(node) for _ in range(IDLE - 1_000)] + [connect_pg(node) for _ in range(1_000)]
    assert node.metric("http_connections") >= IDLE - 1_000
    others_are_answered(node)
    assert node.memory_kib() < before + IDLE * PER_CLIENT_KIB_MAX
    # Each of them may still ask.
    clients[-1_001].sendall(HEAD + b"\r\n")
    assert clients[-1_001].recv(100).startswith(b"HTTP/1.1 200")
    for client in clients:
        client.close()
    node.stop()


def test_heads_that_come_byte_by_byte_end_in_time(node):
    clients = [connect(node) for _ in range(500)]
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.5):
            for client in clients:
                try:
                    client.send(b"X-A: b\r\n"[:1])
                except OSError:
                    pass  # it was ended, as it should be

    for client in clients:
        client.sendall(HEAD + b"X-")
    thread = threading.Thread(target=trickle)
    thread.start()
    begin = time.monotonic()
    others_are_answered(node)
    answers = [client.recv(100) for client in clients]
    assert time.monotonic() - begin < 20
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers), set(answers)
    stop.set()
    thread.join()
    node.stop()


def test_heads_and_bodies_that_are_too_large(node):
    before = node.memory_kib()
    for _ in range(50):
        with connect(node) as client:
            client.sendall(HEAD + b"X-Long: " + b"x" * 40_000)
            assert client.recv(100).startswith(b"HTTP/1.1 431")
        with connect(node) as client:
            client.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\nSELECT 1")
            assert client.recv(100).startswith(b"HTTP/1.1 413")
        with connect_pg(node) as client:
            client.sendall(struct.pack("!ii", 0x7fffffff, 196608) + b"x" * 1_000)
            try:
                assert client.recv(100) == b""
            except ConnectionResetError:
                pass  # what was sent after it is unread
    others_are_answered(node)
    assert node.memory_kib() < before + 30 * 1024
    node.stop()


def test_clients_that_send_requests_and_never_read(node):
    before = node.memory_kib()
    clients = [connect(node) for _ in range(200)]
    for client in clients:
        client.setblocking(False)
    request = HEAD + b"\r\n"
    for _ in range(10):
        for client in clients:
            try:
                client.send(request * 1_000)
            except BlockingIOError:
                pass  # the node takes no more of it, as it should
        others_are_answered(node)
    assert node.memory_kib() < before + 200 * 1024
    for client in clients[:100]:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # a reset
    for client in clients[100:]:
        client.shutdown(socket.SHUT_WR)  # half of it stays
    others_are_answered(node)
    for client in clients[100:]:
        client.close()
    node.stop()
