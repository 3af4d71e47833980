"""While rows flow, readers over HTTP, PostgreSQL and Server-Sent Events see one step at a time, and nobody waits in vain for what was acknowledged.

MILLRACE_READS and MILLRACE_TRIES say how many; make test-all asks for a million and 100,000."""
import http.client
import json
import os
import re
import subprocess
import threading
import urllib.parse

import pytest

from live import Live
from pg_node import Wire, dsn, only_column

READS = int(os.environ.get("MILLRACE_READS", 40_000))
TRIES = int(os.environ.get("MILLRACE_TRIES", 4_000))
WHOLE = """(SELECT coalesce(sum(balance), 0) FROM balances) = (SELECT coalesce(sum(total), 0) FROM total)
      AND (SELECT coalesce(sum(moves), 0) FROM balances) = (SELECT coalesce(sum(moves), 0) FROM total) AND (SELECT coalesce(sum(moves), 0) % 2 FROM total) = 0"""
PROJECT = f"""
CREATE STREAM moves (account INTEGER NOT NULL, amount BIGINT NOT NULL) PARTITION BY (account) INTO 2 PARTITIONS;
CREATE MATERIALIZED VIEW balances AS SELECT account, sum(amount) AS balance, count(*) AS moves FROM moves GROUP BY account;
CREATE MATERIALIZED VIEW total AS SELECT sum(amount) AS total, count(*) AS moves FROM moves;
CREATE ENDPOINT whole ON GET '/whole' AS SELECT CASE WHEN {WHOLE} THEN 'whole' ELSE 'torn' END AS state;
CREATE ENDPOINT pair ON GET '/pair' AS SELECT (SELECT coalesce(sum(balance), 0) FROM balances)::BIGINT AS balances, (SELECT coalesce(sum(total), 0) FROM total)::BIGINT AS total,
  (SELECT coalesce(sum(moves), 0) FROM total)::BIGINT AS moves;
CREATE ENDPOINT account ON GET '/accounts/{{account}}' (account INTEGER) AS SELECT moves FROM balances WHERE account = $account;
"""
# wrk counts answers, not what they say.
COUNT_TORN = """
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() torn = 0 end
function response(status, headers, body)
  if status ~= 200 or not string.find(body, '"whole"', 1, true) then torn = torn + 1 end
end
function done(summary)
  local all = 0
  for _, thread in ipairs(threads) do all = all + thread:get("torn") end
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("answers=%d torn=%d errors=%d\\n", summary.requests, all, errors))
end
"""


class Client:
    """One connection that is kept."""

    def __init__(self, node):
        url = urllib.parse.urlsplit(node.url)
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)

    def ask(self, method, path, *rows):
        self.connection.request(method, path, "\n".join(json.dumps(row) for row in rows) if rows else None, {"Content-Type": "application/x-ndjson"} if rows else {})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (answer.status, body)
        return json.loads(body)


class Threads:
    """What one of them raises is raised where they are joined."""

    def __init__(self):
        self.threads, self.failures, self.stop = [], [], threading.Event()

    def start(self, run, *arguments):
        def guarded():
            try:
                run(*arguments)
            except BaseException as failure:
                self.failures.append(failure)
                self.stop.set()
        self.threads.append(threading.Thread(target=guarded, daemon=True))
        self.threads[-1].start()

    def join(self):
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()
        if self.failures:
            raise self.failures[0]


def read_over_http(node, folder, count):
    script = folder / "torn.lua"
    script.write_text(COUNT_TORN)
    answers = 0
    while answers < count:
        out = subprocess.run(["wrk", "-t1", "-c4", "-d3s", "-s", script, node.url + "/whole"], capture_output=True, text=True, check=True).stdout
        found = {name: int(value) for name, value in re.findall(r"(answers|torn|errors)=(\d+)", out)}
        assert found["torn"] == 0 and found["errors"] == 0 and found["answers"] > 0, out
        answers += found["answers"]
    return answers


def read_over_postgresql(node, folder, count):
    script = folder / "torn.sql"
    script.write_text(f"SELECT CASE WHEN {WHOLE} THEN 1 ELSE error('torn') END;\n".replace("\n", " "))
    clients = 4
    done = subprocess.run(["pgbench", dsn(node), "-n", "-f", script, "-M", "prepared", "-c", str(clients), "-t", str(count // clients)], capture_output=True, text=True)
    assert done.returncode == 0 and "number of failed transactions: 0" in done.stdout, done.stdout + done.stderr
    return int(re.search(r"actually processed: (\d+)", done.stdout)[1])


def test_no_reader_sees_half_of_a_step(make_node, tmp_path):
    node = make_node(PROJECT)
    node.start()
    others = Threads()
    events = [0]

    def write(worker):
        client, number = Client(node), 0
        while not others.stop.is_set():
            number += 1
            # One request: what it takes from one account it gives to another, in another partition.
            client.ask("POST", "/v1/streams/moves", {"account": worker, "amount": -number}, {"account": worker + 101, "amount": number})

    def follow():
        with Live(node.url, "/pair") as live:
            while not others.stop.is_set():
                live.event()
                [row] = live.rows
                assert row["balances"] == row["total"] == 0 and row["moves"] % 2 == 0, row
                events[0] += 1

    for worker in range(2):
        others.start(write, worker)
    others.start(follow)
    readers = Threads()
    reads = {}
    readers.start(lambda: reads.update(http=read_over_http(node, tmp_path, READS * 2 // 3)))
    readers.start(lambda: reads.update(postgresql=read_over_postgresql(node, tmp_path, READS // 3)))
    for thread in readers.threads:
        thread.join()
    others.stop.set()
    others.join()
    readers.join()
    moves = node.sql("SELECT moves FROM total")[0][0]
    print(f"{reads} reads and {events[0]} events while {moves} rows came, none torn")
    assert sum(reads.values()) >= READS * 0.99 and events[0] > 100 and moves > 1_000
    node.stop()


@pytest.mark.parametrize("way", ["http", "postgresql"])
def test_who_has_a_token_reads_what_it_stands_for(make_node, way):
    node = make_node(PROJECT)
    node.start()
    workers = 16
    threads = Threads()

    def over_http(account):
        writer, reader = Client(node), Client(node)
        for number in range(1, TRIES // 2 // workers + 1):
            token = writer.ask("POST", "/v1/streams/moves", {"account": account, "amount": 1})["token"]
            assert reader.ask("GET", f"/accounts/{account}?after={token}") == [{"moves": number}]

    def over_postgresql(account):
        writer, reader = Wire(node), Wire(node)
        for number in range(1, TRIES // 2 // workers + 1):
            writer.send((b"Q", f"INSERT INTO moves VALUES ({account}, 1); SHOW millrace.token".encode() + b"\0"))
            token = only_column(writer.until(b"Z"))[-1]
            reader.send((b"Q", f"SET millrace.after = '{token}'; SELECT moves FROM balances WHERE account = {account}".encode() + b"\0"))
            assert only_column(reader.until(b"Z")) == [str(number)]
        writer.close()
        reader.close()

    for account in range(workers):
        threads.start(over_http if way == "http" else over_postgresql, account)
    for thread in threads.threads:
        thread.join()
    threads.join()
    assert node.sql("SELECT moves FROM total") == [[TRIES // 2 // workers * workers]]
    node.stop()
