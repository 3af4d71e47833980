"""Live endpoints: Server-Sent Events of a running node add up to what asking again and again gives, over slow readers, errors, kills and restarts."""
import json
import random
import resource
import threading
import time

import pytest

from live import Live, Refused, bag, step_of
from live_websocket import LiveWebSocket
from test_access import access, bearer, token, within_seconds
from test_tls import authority, make_tls_node  # noqa: F401: fixtures

SQL = """
CREATE STREAM moves (id BIGINT NOT NULL, source INTEGER NOT NULL, target INTEGER NOT NULL, amount BIGINT NOT NULL);
CREATE MATERIALIZED VIEW balances AS
  SELECT account, sum(amount) AS balance FROM (
    SELECT source AS account, -amount AS amount FROM moves UNION ALL SELECT target, amount FROM moves) GROUP BY account;
CREATE MATERIALIZED VIEW counts AS SELECT target, count(*) AS moves FROM moves GROUP BY target;
CREATE TABLE words (id INTEGER PRIMARY KEY, word VARCHAR);
CREATE ENDPOINT all_balances ON GET '/balances' AS SELECT account, balance FROM balances;
CREATE ENDPOINT one_balance ON GET '/balances/{account}' (account INTEGER) AS SELECT account, balance FROM balances WHERE account = $account;
CREATE ENDPOINT top ON GET '/top' (n INTEGER DEFAULT 3 CHECK (n BETWEEN 1 AND 10)) AS
  SELECT account, balance::BIGINT AS balance FROM balances ORDER BY balance DESC, account LIMIT $n;
CREATE ENDPOINT totals ON GET '/both' AS
  SELECT (SELECT coalesce(sum(balance), 0)::BIGINT FROM balances) AS total, (SELECT coalesce(sum(moves), 0)::BIGINT FROM counts) AS counted;
CREATE ENDPOINT all_words ON GET '/words' AS SELECT id, word FROM words;
"""


def move(number, source, target, amount):
    return json.dumps({"id": number, "source": source, "target": target, "amount": amount})


@pytest.fixture
def node(make_node):
    node = make_node(SQL)
    node.start()
    return node


def send(node, *moves):
    node.send("moves", [move(*one) for one in moves], query="?wait=visible")


def test_snapshot_and_changes_equal_asking_again(node, seed):
    choose = random.Random(seed)
    paths = ["/balances", "/balances/3", "/top", "/top?n=5", "/words"]
    send(node, (0, 1, 2, 10))
    readers = {path: Live(node.url, path) for path in paths}
    for path, reader in readers.items():
        name, identifier, data = reader.event()
        assert name == "snapshot" and step_of(identifier) >= 0 and data == node.get(path), path
        assert reader.retry == 1000
    for number in range(1, 120):
        if choose.random() < 0.3:
            word = choose.choice(["tea", "a \"quoted\" word", "two\nlines", "", "ü"])
            literal = word.replace("'", "''")
            node.sql(choose.choice([f"INSERT INTO words VALUES ({number}, '{literal}')", f"UPDATE words SET word = '{literal}' WHERE id < {number // 2}",
                                    f"DELETE FROM words WHERE id % 7 = {number % 7}"]))
        else:
            send(node, *[(number * 100 + i, choose.randrange(8), choose.randrange(8), choose.randrange(20)) for i in range(choose.choice([1, 1, 5]))])
        for path in choose.sample(paths, 2):
            wanted = node.get(path)
            exact = path.startswith("/top")
            readers[path].until(lambda rows: rows == wanted if exact else bag(rows) == bag(wanted))
    for reader in readers.values():
        reader.close()
    node.stop()


def test_ids_rise_and_an_unchanged_answer_sends_nothing(node):
    send(node, (0, 1, 2, 10))
    with Live(node.url, "/balances/2") as reader:
        first = reader.event()
        send(node, (1, 5, 6, 10))  # another account
        with pytest.raises(TimeoutError):
            reader.event(timeout=0.5)
        send(node, (2, 1, 2, 5))
        name, identifier, data = reader.event()
        assert name == "change" and step_of(identifier) == data["step"] > step_of(first[1])
        assert [row["account"] for row in data["removed"] + data["added"]] == [2, 2]
    node.stop()


def test_every_event_is_of_one_step_under_load(node):
    stop = threading.Event()
    failure = []

    def load():
        try:
            number = 0
            while not stop.is_set():
                node.send("moves", [move(number + i, (number + i) % 50, (number + 7 * i) % 50, 1 + i) for i in range(20)])
                number += 20
        except Exception as error:
            failure.append(error)

    writers = [threading.Thread(target=load) for _ in range(2)]
    for writer in writers:
        writer.start()
    with Live(node.url, "/balances") as balances, Live(node.url, "/both") as both:
        steps = []
        changes = 0
        end = time.monotonic() + 5
        while time.monotonic() < end:
            name, identifier, _ = balances.event()
            changes += name == "change"
            steps.append(step_of(identifier))
            assert sum(int(row["balance"]) for row in balances.rows) == 0  # what one account gives another takes, in one step
            both.event()
            assert len(both.rows) == 1 and both.rows[0]["total"] == 0
        assert changes > 20 and steps == sorted(set(steps))
        stop.set()
        for writer in writers:
            writer.join()
        assert not failure
        node.wait_for_records("moves", 1)
        wanted = node.get("/both")
        both.until(lambda rows: rows == wanted)
        wanted = bag(node.get("/balances"))
        balances.until(lambda rows: bag(rows) == wanted)
    node.stop()


def test_a_client_that_comes_again_gets_what_it_missed(node):
    send(node, (0, 1, 2, 10))
    keeper = Live(node.url, "/balances")  # somebody else follows all the time
    keeper.event()
    reader = Live(node.url, "/balances")
    reader.event()
    reader.close()
    for number in range(1, 6):
        send(node, (number, 1, 2, 1))
        keeper.event()
    again = Live(node.url, "/balances", last=reader.id, before=reader.rows)
    names = []
    wanted = bag(node.get("/balances"))
    while bag(again.rows) != wanted:
        names.append(again.event()[0])
    assert names and set(names) == {"change"}
    # Nothing new: nothing is repeated.
    same = Live(node.url, "/balances", last=again.id, before=again.rows)
    with pytest.raises(TimeoutError):
        same.event(timeout=0.5)
    send(node, (9, 1, 2, 1))
    assert same.event()[0] == again.event()[0] == "change" and bag(same.rows) == bag(again.rows) == bag(node.get("/balances"))
    # Of an id that is not known nothing is assumed.
    for last in ("0-0000000000000000", "nonsense", "7"):
        assert Live(node.url, "/balances", last=last).event()[0] == "snapshot"
    node.stop()


@pytest.mark.parametrize("follow", [Live, LiveWebSocket])
def test_resume_over_kills_without_gap_or_repeat(node, seed, follow):
    choose = random.Random(seed)
    number = 0
    reader = follow(node.url, "/balances")
    snapshots = 0
    for life in range(6):
        for _ in range(choose.randrange(1, 6)):
            number += 1
            send(node, (number, choose.randrange(5), 5 + choose.randrange(5), 1 + choose.randrange(9)))
        quiet = life % 2 == 0
        if quiet:
            wanted = bag(node.get("/balances"))
            reader.until(lambda rows: bag(rows) == wanted)
        last, rows = reader.id, reader.rows
        node.kill() if life % 3 else node.stop()
        if follow is LiveWebSocket and quiet and life % 3 == 0:
            assert reader.event() is None and reader.closed[0] == 1001
        reader.close()
        node.start()
        if not quiet:
            number += 1
            send(node, (number, 0, 9, 1))
        reader = follow(node.url, "/balances", last=last, before=rows)
        # Nothing was missed: the process that comes after it knows that, without sending all of it again.
        if quiet:
            with pytest.raises(TimeoutError):
                reader.event(timeout=0.3)
        wanted = bag(node.get("/balances"))
        if rows is None or bag(rows) != wanted:
            snapshots += reader.event()[0] == "snapshot"
        assert bag(reader.rows) == wanted
        total = node.sql("SELECT count(*) FROM moves")[0][0]
        assert total == number
    assert snapshots >= 1
    node.stop()


def memory_bytes(node):
    with open(f"/proc/{node.process.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_a_slow_reader_is_bounded_gets_the_newest_and_harms_nobody(node):
    rows = 4000
    node.sql(f"INSERT INTO words SELECT i, repeat('x', 100) FROM range({rows}) t(i)")
    slow = Live(node.url, "/words", receive_bytes=4096)
    quick = Live(node.url, "/words")
    slow.event()
    quick.event()
    before = memory_bytes(node)
    for number in range(60):
        node.sql(f"UPDATE words SET word = '{number}' || repeat('y', 100)")
        quick.until(lambda rows: rows and all(row["word"].startswith(f"{number}y") for row in rows))
    assert node.metric("http_live_memory_bytes") < 16 << 20
    node.sql("UPDATE words SET word = 'the end'")
    quick.until(lambda rows: rows[0]["word"] == "the end")
    names = []
    while slow.rows[0]["word"] != "the end" or len(slow.rows) != rows:
        names.append(slow.event()[0])
    assert bag(slow.rows) == bag(node.get("/words"))
    assert len(names) < 60 and "snapshot" in names, names
    assert node.metric("http_live_coalesced_total") >= 1
    assert memory_bytes(node) - before < 300 << 20
    slow.close()
    quick.close()
    within_seconds(lambda: node.metric("http_live_readers") == 0)
    node.stop()


def test_parameters(node):
    send(node, (0, 1, 2, 10), (1, 3, 4, 7))
    one, four = Live(node.url, "/balances/1"), Live(node.url, "/balances/4")
    assert [int(one.event()[2][0]["balance"]), int(four.event()[2][0]["balance"])] == [-10, 7]
    nobody = Live(node.url, "/balances/77")
    assert nobody.event()[2] == []
    send(node, (2, 77, 4, 1))
    assert nobody.event()[2]["added"] and [int(row["balance"]) for row in four.event()[2]["added"]] == [8]
    texts = Live(node.url, "/balances/4?numbers=string")
    assert texts.event()[2] == node.get("/balances/4?numbers=string")
    ahead = json.loads(node.request("POST", "/v1/streams/moves", move(3, 4, 5, 1).encode(), {"Content-Type": "application/json"})[2])["token"]
    assert int(Live(node.url, f"/balances/5?after={ahead}").event()[2][0]["balance"]) == 1
    for path, status, words in [("/balances/x", 400, "account"), ("/top?n=11", 400, "CHECK"), ("/top?m=1", 400, "\"n\""), ("/nothing", 404, "nothing at")]:
        with pytest.raises(Refused) as refused:
            Live(node.url, path)
        assert refused.value.status == status and words in json.dumps(refused.value.body, ensure_ascii=False).replace('\\"', '"'), refused.value
    node.stop()


def test_what_ends_a_live_answer(node):
    node.sql("CREATE MATERIALIZED VIEW halves AS SELECT target, sum(amount) AS n FROM moves GROUP BY target")
    node.sql("CREATE ENDPOINT halves ON GET '/halves' AS SELECT target, n FROM halves")
    send(node, (0, 1, 2, 10))
    with Live(node.url, "/halves") as reader:
        reader.event()
        node.sql("DROP ENDPOINT halves")
        name, _, data = reader.event()
        assert name == "error" and data["error"]["code"] == "not_found" and reader.event() is None
    node.sql("CREATE ENDPOINT halves ON GET '/halves' AS SELECT target, n FROM halves")
    with Live(node.url, "/halves") as reader:
        reader.event()
        # The same columns: it goes on with the difference.
        node.sql("CREATE OR REPLACE ENDPOINT halves ON GET '/halves' AS SELECT target, n * 2 AS n FROM halves")
        name, _, data = reader.event()
        assert name == "change" and bag(reader.rows) == bag(node.get("/halves"))
        node.sql("CREATE OR REPLACE ENDPOINT halves ON GET '/halves' AS SELECT target, n AS m FROM halves")
        name, _, data = reader.event()
        assert name == "error" and data["error"]["code"] == "conflict" and reader.event() is None
    with Live(node.url, "/halves", last=reader.id) as reader:
        assert reader.event()[0] == "snapshot" and reader.rows == node.get("/halves")
    node.stop()


def test_a_view_that_fails_is_told_and_one_that_is_replaced_goes_on(node):
    node.sql("CREATE MATERIALIZED VIEW strict WITH (on_error = 'stop') AS SELECT target, sum(('1' || (CASE amount WHEN 13 THEN 'x' ELSE '' END))::INTEGER) AS n "
             "FROM moves GROUP BY target")
    node.sql("CREATE ENDPOINT strict ON GET '/strict' AS SELECT target, n FROM strict")
    send(node, (0, 1, 2, 10))
    reader = Live(node.url, "/strict")
    assert reader.event()[0] == "snapshot"
    send(node, (1, 1, 2, 13))
    name, _, data = reader.event()
    assert name == "error" and data["error"]["code"] == "unavailable" and "strict" in data["error"]["message"], data
    assert reader.event() is None
    with pytest.raises(Refused) as refused:
        Live(node.url, "/strict")
    assert refused.value.status == 503 and "has failed" in refused.value.body["error"]["message"]
    node.sql("CREATE OR REPLACE MATERIALIZED VIEW strict AS SELECT target, sum(amount) AS n FROM moves GROUP BY target")
    within_seconds(lambda: node.get("/strict") == [{"target": 2, "n": 23}])
    reader = Live(node.url, "/strict")
    assert reader.event()[2] == [{"target": 2, "n": 23}]
    node.sql("CREATE OR REPLACE MATERIALIZED VIEW strict AS SELECT target, sum(amount + 1) AS n FROM moves GROUP BY target")
    reader.until(lambda rows: rows == [{"target": 2, "n": 25}])
    send(node, (2, 1, 2, 1))
    reader.until(lambda rows: rows == [{"target": 2, "n": 27}])
    node.stop()


def test_stopping_ends_in_good_order_and_says_when_to_come_again(node):
    readers = [Live(node.url, "/balances") for _ in range(20)]
    for reader in readers:
        reader.event()
    begin = time.monotonic()
    node.stop()
    assert time.monotonic() - begin < 5
    for reader in readers:
        assert reader.event() is None and reader.retry == 5000


def test_access_is_that_of_the_ordinary_answer_and_ends_with_the_token(node):
    reader_token = token(node, "read:all_balances")
    other = token(node, "read:all_words")
    within_seconds(lambda: refusal(node, None) == 401)
    within_seconds(lambda: refusal(node, other) == 403)
    with Live(node.url, "/balances", headers=bearer(reader_token)) as reader:
        reader.event()
        access(node, "token", "revoke", reader_token.split("_")[1])
        within_seconds(lambda: refusal(node, reader_token) == 401)
        ingest = token(node, "ingest:moves")
        within_seconds(lambda: refusal(node, ingest) == 403)
        node.request("POST", "/v1/streams/moves?wait=visible", move(0, 1, 2, 3).encode(), {"Content-Type": "application/json", **bearer(ingest)})
        name, _, data = reader.event()
        assert name == "error" and data["error"]["code"] == "unauthenticated" and reader.rows == [] and reader.event() is None
    node.stop()


def refusal(node, text):
    try:
        Live(node.url, "/balances", headers=bearer(text) if text else {}).close()
    except Refused as refused:
        return refused.status
    return 200


def test_five_hundred_readers_of_one_endpoint_cost_one_evaluation_a_step(node):
    send(node, (0, 1, 2, 10))
    readers = [Live(node.url, "/both") for _ in range(500)]
    for reader in readers:
        assert reader.event()[0] == "snapshot"
    assert node.metric("http_live_readers") == 500
    before = node.metric("http_live_evaluations_total")
    steps = 10
    for number in range(1, steps + 1):
        send(node, (number, 1, 2, 1))
        for reader in readers:
            reader.until(lambda rows: rows[0]["counted"] == number + 1)
    assert node.metric("http_live_evaluations_total") - before < 3 * steps
    assert node.metric("http_live_events_total") >= 500 * (steps + 1)
    for reader in readers:
        reader.close()
    within_seconds(lambda: node.metric("http_live_readers") == 0)
    node.stop()


@pytest.mark.parametrize("follow", [Live, LiveWebSocket])
def test_live_under_tls(make_tls_node, follow):
    node = make_tls_node(SQL)
    node.start()
    reader = follow(node.url, "/words", context=node.tls)
    assert reader.event()[2] == []
    node.sql("INSERT INTO words SELECT i, repeat('x', 100) FROM range(5000) t(i)")
    reader.until(lambda rows: len(rows) == 5000)
    assert bag(reader.rows) == bag(node.get("/words"))
    if follow is LiveWebSocket:
        assert reader.socket.ping().wait(10)
    reader.close()
    assert follow is Live or reader.closed[0] == 1000
    within_seconds(lambda: node.metric("http_live_readers") == 0)
    last = follow(node.url, "/words", context=node.tls)
    last.event()
    node.stop()
    assert last.event() is None and (follow is Live or last.closed[0] == 1001)
