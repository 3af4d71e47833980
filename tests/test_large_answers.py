"""Answers larger than the node's memory: whole, in every format, over HTTP and PostgreSQL, while the node stays within its bounds."""
import functools
import hashlib
import pathlib
import socket
import subprocess
import time
import urllib.parse

import pytest

from node import Node, Refused, serving
from pg_node import dsn
from small_disk import small_disk

ROWS = 6_000_000  # 96 MB of rows
QUERY = f"SELECT i, i * 2 AS j FROM range({ROWS}) t(i)"
CSV = "i,j\n", "{},{}\n"
MEMORY_KIB_MAX = 160 * 1024  # beyond what the node takes before


@pytest.fixture(scope="module")
def node(folder):
    (folder / "project").mkdir()
    (folder / "project" / "a.sql").write_text("CREATE STREAM clicks (page INTEGER);\nCREATE TABLE pages (page INTEGER PRIMARY KEY);\n")
    node = Node(folder / "project", folder / "data", "--memory", "128MiB")
    node.start()
    node.sql("SELECT 1")
    yield node
    node.stop()


@functools.cache
def expected(head, line):
    digest = hashlib.md5(head.encode())
    for begin in range(0, ROWS, 100_000):
        digest.update("".join(line.format(i, 2 * i) for i in range(begin, begin + 100_000)).encode())
    return digest.hexdigest()


def temporary_bytes(node):
    return sum(each.stat().st_size for each in pathlib.Path(node.data, "tmp").rglob("*") if each.is_file())


def wait_until_nothing_is_spilled(node):
    deadline = time.monotonic() + 20
    while temporary_bytes(node) > 0:
        assert time.monotonic() < deadline, f"{temporary_bytes(node)} bytes are left in {node.data}/tmp"
        time.sleep(0.1)


@pytest.mark.parametrize("accept,head,line", [("text/csv", *CSV), ("application/x-ndjson", "", '{{"i":{},"j":{}}}\n')])
def test_a_large_answer_over_http_is_whole_and_takes_no_more_memory(node, accept, head, line):
    before = node.memory_kib()
    done = subprocess.run(f"curl -sS --fail -H 'Accept: {accept}' -H 'Content-Type: application/sql' --data '{QUERY}' '{node.url}/v1/sql?timeout=60s' | md5sum", shell=True,
                          check=True, capture_output=True, text=True)
    assert done.stdout.split()[0] == expected(head, line)
    assert node.memory_kib("VmHWM") < before + MEMORY_KIB_MAX
    wait_until_nothing_is_spilled(node)


def test_a_large_answer_as_arrow_is_whole(node):
    import pyarrow.compute
    import pyarrow.ipc
    body = node.request("POST", "/v1/sql?timeout=60s", QUERY.encode(), {"Content-Type": "application/sql", "Accept": "application/vnd.apache.arrow.stream"}, timeout=90)[2]
    count = total = 0
    with pyarrow.ipc.open_stream(body) as stream:
        for batch in stream:
            count += batch.num_rows
            total += pyarrow.compute.sum(batch.column(1)).as_py()
    assert (count, total) == (ROWS, ROWS * (ROWS - 1))


def test_a_large_answer_over_postgresql_is_whole_and_takes_no_more_memory(node):
    before = node.memory_kib()
    done = subprocess.run(f"psql -X -q '{dsn(node)}' -c \"COPY ({QUERY}) TO STDOUT (FORMAT csv, HEADER)\" | md5sum", shell=True, check=True, capture_output=True, text=True)
    assert done.stdout.split()[0] == expected(*CSV)
    assert node.memory_kib() < before + MEMORY_KIB_MAX
    wait_until_nothing_is_spilled(node)


def test_a_cursor_steps_through_a_large_answer(node):
    import psycopg
    with psycopg.connect(dsn(node)) as connection, connection.cursor(name="large") as cursor:
        cursor.itersize = 50_000
        cursor.execute(QUERY)
        for at, (i, j) in enumerate(cursor):
            assert (i, j) == (at, 2 * at)
            if at == 1_000_000:
                break
    wait_until_nothing_is_spilled(node)


def test_clients_that_do_not_read_hold_no_memory(node):
    """Ten of them: what they asked for waits on disk, and goes with them."""
    url = urllib.parse.urlsplit(node.url)
    before = node.memory_kib()
    query = f"SELECT i, i * 2 AS j FROM range({ROWS // 4}) t(i)".encode()
    head = f"POST /v1/sql HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\nContent-Type: application/sql\r\nContent-Length: {len(query)}\r\n\r\n".encode()
    clients = []
    for _ in range(10):
        client = socket.create_connection((url.hostname, url.port), timeout=60)
        client.sendall(head + query)
        assert client.recv(12) == b"HTTP/1.1 200"  # the answer is there
        clients.append(client)
    assert temporary_bytes(node) > 0
    assert node.memory_kib() < before + MEMORY_KIB_MAX
    assert node.sql("SELECT 41 + 1") == [[42]]
    for client in clients:
        client.close()
    wait_until_nothing_is_spilled(node)


@pytest.mark.parametrize("target", ["clicks", "pages"])
def test_a_write_that_is_too_large_is_refused_before_it_takes_memory(node, target):
    before = node.memory_kib()
    with pytest.raises(Refused) as refused:
        node.sql(f"INSERT INTO {target} SELECT i::INTEGER FROM range(2000000000) t(i)")
    assert refused.value.status == 413 and "128 MiB" in str(refused.value)
    assert node.memory_kib("VmHWM") < before + 2 * MEMORY_KIB_MAX
    assert node.sql(f"SELECT count(*) FROM {target}") == [[0]]


def test_what_does_not_fit_on_the_disk_either_is_refused(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "a.sql").write_text("CREATE STREAM clicks (page INTEGER);\n")
    data = tmp_path / "data"
    with small_disk(data, "400m"), serving(Node(tmp_path / "project", data, "--memory", "64MiB")) as node:
        with pytest.raises(Refused) as refused:  # 960 MB that cannot be compressed
            node.request("POST", "/v1/sql?timeout=60s", b"SELECT random() AS a, random() AS b FROM range(60000000)", {"Content-Type": "application/sql"})
        assert refused.value.status == 413 and "needs more disk than it may take" in str(refused.value) and "fewer rows" in str(refused.value)
        wait_until_nothing_is_spilled(node)
        assert node.sql("SELECT 41 + 1") == [[42]]
