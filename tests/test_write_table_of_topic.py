"""Statements write into a table that stands on a topic: as records of the topic, which its other readers see too."""
import json
import random
import threading

import psycopg
import pytest

from node import Refused
from pg_node import dsn
from test_kafka import consume, consumer, producer, wait_for
from test_table_from_topic import EVENTS, VIEW, balanced, row, send, shows, topic, users

TABLE = "CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR NOT NULL, age INTEGER CHECK (age >= 0)) WITH (topic = 'people', format = 'json')"


@pytest.fixture
def node(make_node):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    topic(node, partitions=3)
    node.sql(TABLE)
    yield node
    if node.process.poll() is None:
        node.stop()


def records(node, count, group):
    reader = consumer(node, group)
    reader.subscribe(["people"])
    messages = consume(reader, count)
    reader.close()
    return [(json.loads(message.key()), json.loads(message.value()) if message.value() else None) for message in messages]


def test_statements_are_records_of_the_topic(node):
    node.sql(VIEW)
    send(producer(node), [("1", row(1, "ann", 30))])
    # A record that was acknowledged is read by the next statement, at once.
    assert node.sql("UPDATE users SET age = age + 1 RETURNING id, age") == [[1, 31]]
    node.sql("INSERT INTO users VALUES (2, 'bob', 40), (3, 'cid', NULL)")
    assert users(node) == [[1, "ann", 31], [2, "bob", 40], [3, "cid", None]], "visible when the statement returns"
    node.sql("DELETE FROM users WHERE id = 2")
    assert node.sql("SELECT age, n, first FROM ages ORDER BY age") == [[31, 1, "ann"], [None, 1, "cid"]]
    assert sorted(records(node, 5, "others"), key=str) == sorted([
        (1, row(1, "ann", 30)), ({"id": 1}, row(1, "ann", 31)), ({"id": 2}, row(2, "bob", 40)), ({"id": 3}, row(3, "cid", None)), ({"id": 2}, None)], key=str)
    for statement, words in [("INSERT INTO users VALUES (1, 'x', 1)", "1"), ("INSERT INTO users VALUES (9, 'x', -1)", "CHECK"), ("UPDATE users SET name = NULL", "name")]:
        with pytest.raises(Refused, match=words):
            node.sql(statement)
    assert node.difference("ages") == 0 and balanced(node)
    node.sql("CREATE STREAM tick (n INTEGER)")  # a step, with which all is counted that was written before
    lines = {(line["edge"], line["counter"]): line["value"] for line in node.get("/v1/ledger")["lines"]}
    assert lines[("sql → people", "appended")] == 4 and lines[("kafka → people", "appended")] == 1
    for restart in (node.kill, node.stop):
        restart()
        node.start()
        shows(node, [(1, "ann", 31), (3, "cid", None)])
        assert node.difference("ages") == 0 and balanced(node)


def test_rows_by_their_address(node):
    send(producer(node), [("1", row(1, "ann", 30))])
    put = lambda key, body, **headers: node.request("PUT", f"/v1/tables/users/{key}", json.dumps(body).encode(), headers)
    wait_for(lambda: users(node))
    tag = node.request("GET", "/v1/tables/users/1")[1]["ETag"]
    assert put(1, {"name": "anna", "age": 31}, **{"If-Match": tag})[0] == 200
    with pytest.raises(Refused) as refused:
        put(1, {"name": "late"}, **{"If-Match": tag})
    assert refused.value.status == 412
    status, headers, _ = put(2, {"name": "bob"})
    assert status == 201 and users(node) == [[1, "anna", 31], [2, "bob", None]]
    assert node.request("DELETE", "/v1/tables/users/1")[0] == 204
    assert users(node) == [[2, "bob", None]]
    assert [key for key, _ in sorted(records(node, 4, "others"), key=str)].count({"id": 1}) == 2 and balanced(node)


def test_transactions_hold_tables_of_topics_streams_and_other_tables(node):
    node.sql("CREATE TABLE plain (id BIGINT PRIMARY KEY, n INTEGER)")
    node.sql("CREATE STREAM events (id BIGINT)")
    with psycopg.connect(dsn(node)) as session:
        session.execute("INSERT INTO users VALUES (1, 'ann', 30), (2, 'bob', 40)")
        session.execute("INSERT INTO plain VALUES (1, 1)")
        session.execute("INSERT INTO events VALUES (7)")
        assert users(node) == [] and node.sql("SELECT count(*) FROM people") == [[0]], "nothing is there before it commits"
        session.commit()
        assert session.execute("SELECT count(*) FROM users").fetchall() == [(2,)]
        session.commit()
        session.execute("UPDATE users SET age = 0 WHERE id = 1")
        session.rollback()
        assert node.sql("SELECT age FROM users WHERE id = 1") == [[30]]
        # Another writer in between: the statement is worked out over what is there then, or refused.
        session.execute("UPDATE users SET age = age + 1 WHERE id = 1")
        send(producer(node), [("1", row(1, "anna", 50))])
        try:
            session.commit()
            assert node.sql("SELECT name, age FROM users WHERE id = 1") == [["anna", 51]]
        except psycopg.errors.SerializationFailure:
            assert node.sql("SELECT name, age FROM users WHERE id = 1") == [["anna", 50]]
        with session.cursor().copy("COPY users FROM STDIN") as copy:
            copy.write("3\tcid\t5\n4\tdan\t6\n")
        session.commit()
    assert node.sql("SELECT count(*) FROM users") == [[4]] and node.sql("SELECT id FROM events") == [[7]]
    assert balanced(node)


def test_tables_that_share_a_topic_see_each_others_writes(node):
    node.sql(TABLE.replace("users", "folk"))
    node.sql("INSERT INTO users VALUES (1, 'ann', 30)")
    wait_for(lambda: node.sql("SELECT name FROM folk") == [["ann"]])
    node.sql("UPDATE folk SET name = 'anna'")
    wait_for(lambda: users(node) == [[1, "anna", 30]])
    # What statements of either read is what those of the other have written: the topic has one writer at a time.
    threads = [threading.Thread(target=lambda name: [node.sql(f"UPDATE {name} SET age = age + 1") for _ in range(15)], args=(name,)) for name in ("users", "folk")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert node.sql("SELECT age FROM users") == [[60]]
    with psycopg.connect(dsn(node)) as session:
        session.execute("UPDATE users SET age = 0")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="folk.*same topic"):
            session.execute("UPDATE folk SET name = 'x'")
    assert node.sql("SELECT age FROM users") == [[60]]


def test_debezium_events_say_what_the_row_was(node):
    node.sql("DROP TABLE users")
    node.sql(EVENTS)
    node.sql(VIEW)
    event = lambda op, before, after: json.dumps({"op": op, "before": before, "after": after})
    send(producer(node), [(json.dumps({"id": 1}), event("c", None, row(1, "ann", 30)))])
    node.sql("UPDATE users SET age = 31 WHERE id = 1")
    node.sql("INSERT INTO users VALUES (2, 'bob', 40), (3, 'cid', 50)")
    node.sql("UPDATE users SET id = 4 WHERE id = 3")
    node.sql("DELETE FROM users WHERE id = 2")
    node.sql("INSERT INTO users VALUES (1, 'anna', 31) ON CONFLICT DO UPDATE SET name = excluded.name")
    put = lambda key, body: node.request("PUT", f"/v1/tables/users/{key}", json.dumps(body).encode())[0]
    assert put(4, {"name": "dan"}) == 200 and put(5, {"name": "eve"}) == 201
    assert node.request("DELETE", "/v1/tables/users/5")[0] == 204
    assert users(node) == [[1, "anna", 31], [4, "dan", None]]
    told = {}
    for key, value in records(node, 11, "others"):
        told.setdefault(key["id"], []).append((value["op"], value["before"], value["after"]))
        assert value["op"] == "c" and key["id"] == 1 and "ts_ms" not in value or value["source"] == {"table": "users"} and value["ts_ms"] > 1e12
    assert told == {
        1: [("c", None, row(1, "ann", 30)), ("u", row(1, "ann", 30), row(1, "ann", 31)), ("u", row(1, "ann", 31), row(1, "anna", 31))],
        2: [("c", None, row(2, "bob", 40)), ("d", row(2, "bob", 40), None)],
        3: [("c", None, row(3, "cid", 50)), ("d", row(3, "cid", 50), None)],
        4: [("c", None, row(4, "cid", 50)), ("u", row(4, "cid", 50), row(4, "dan", None))],
        5: [("c", None, row(5, "eve", None)), ("d", row(5, "eve", None), None)]}
    node.kill()
    node.start()
    shows(node, [(1, "anna", 31), (4, "dan", None)])
    assert node.difference("ages") == 0 and balanced(node)


COLUMNS = {"b": ("BOOLEAN", "true"), "i": ("BIGINT", "-9223372036854775808"), "h": ("HUGEINT", "170141183460469231731687303715884105727"), "d": ("DOUBLE", "0.1"),
           "m": ("DECIMAL(30,10)", "12345678901234567890.0123456789"), "s": ("VARCHAR", "'\u00e4\"\\ \u2028 \U0001f600'"), "y": ("BLOB", "'\\x00\\xff'::BLOB"),
           "t": ("TIMESTAMP", "'2024-02-29 12:34:56.789012'"), "z": ("TIMESTAMPTZ", "'2024-02-29 12:34:56.789012+05:30'"), "a": ("DATE", "'0001-01-01'"), "c": ("TIME", "'23:59:59.999999'"),
           "v": ("INTERVAL", "'1 year 2 days 3 seconds'"), "u": ("UUID", "'00112233-4455-6677-8899-aabbccddeeff'"), "l": ("INTEGER[]", "[1, NULL, 3]"),
           "r": ("STRUCT(x INTEGER, y VARCHAR)", "{'x': 1, 'y': 'two'}"), "j": ("JSON", "'{\"k\": [1, null]}'"), "n": ("INTEGER", "NULL")}


@pytest.mark.parametrize("format", ["json", "debezium"])
def test_a_compacted_topic_and_its_largest_batch(node, format):
    node.sql("CREATE STREAM small WITH (format = 'raw', cleanup_policy = 'compact', max_message_bytes = '2 kB')")
    node.sql(f"CREATE TABLE small_rows (id BIGINT PRIMARY KEY, name VARCHAR) WITH (topic = 'small', format = '{format}')")
    node.sql("INSERT INTO small_rows VALUES " + ", ".join(f"({i}, '{'x' * 100}')" for i in range(100)))
    assert node.sql("SELECT count(*) FROM small_rows") == [[100]], "more than a batch holds, at once"
    node.sql("DELETE FROM small_rows WHERE id < 3")
    assert node.sql("SELECT count(*), min(id) FROM small_rows") == [[97, 3]]
    # Compaction needs a record without value to take a key out; Debezium's event comes before it.
    last = node.sql("SELECT decode(key)::JSON ->> 'id', decode(value) IS NULL FROM small WHERE _offset >= 100 ORDER BY _offset")
    events = [False, True] if format == "debezium" else [True]
    assert sorted(last) == sorted([str(key), gone] for key in range(3) for gone in events), last
    with pytest.raises(Refused, match="max_message_bytes"):
        node.sql(f"INSERT INTO small_rows VALUES (200, '{'x' * 3000}')")
    assert node.sql("SELECT count(*) FROM small_rows") == [[97]] and balanced(node)


@pytest.mark.parametrize("format", ["json", "debezium"])
def test_values_of_every_type_come_back(node, format):
    columns = ", ".join(f"{name} {type}" for name, (type, _) in COLUMNS.items())
    topic(node, "typed", 2)
    for name in ("one", "other"):
        node.sql(f"CREATE TABLE {name} (k VARCHAR, e DATE, {columns}, PRIMARY KEY (k, e)) WITH (topic = 'typed', format = '{format}')")
    node.sql(f"CREATE TABLE plain (k VARCHAR, e DATE, {columns}, PRIMARY KEY (k, e))")
    for name in ("one", "plain"):
        node.sql(f"INSERT INTO {name} VALUES ('\u00e4', '2024-02-29', {', '.join(value for _, value in COLUMNS.values())}), ('', '2024-01-01'{', NULL' * len(COLUMNS)})")
    want = node.sql("FROM plain ORDER BY k")
    assert node.sql("FROM one ORDER BY k") == want
    wait_for(lambda: node.sql("FROM other ORDER BY k") == want)
    assert node.sql("SELECT count(*) FROM one.quarantine") == [[0]]
    node.sql("UPDATE one SET n = 1")
    node.sql("DELETE FROM one WHERE k = ''")
    wait_for(lambda: node.sql("SELECT k, n FROM other") == [["\u00e4", 1]])


def test_topics_of_schemas_are_not_written_to(node):
    node.request("POST", "/subjects/people-value/versions", json.dumps({"schema": json.dumps({"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}]})}).encode())
    for write in (lambda: node.sql("INSERT INTO users VALUES (1, 'x', 1)"), lambda: node.request("PUT", "/v1/tables/users/1", b'{"name": "x"}')):
        with pytest.raises(Refused, match="people-value.*subject"):
            write()
    with psycopg.connect(dsn(node), autocommit=True) as session, pytest.raises(psycopg.errors.FeatureNotSupported, match="people-value"):
        session.execute("INSERT INTO users VALUES (1, 'x', 1)")
    node.request("DELETE", "/subjects/people-value")
    node.sql("INSERT INTO users VALUES (1, 'x', 1)")


@pytest.mark.parametrize("format", ["json", "debezium"])
def test_the_last_record_of_a_key_wins_whoever_wrote_it(node, seed, format):
    choose = random.Random(seed)
    topic(node, "mixed")
    node.sql(f"CREATE TABLE mixed_rows (id BIGINT PRIMARY KEY, n BIGINT) WITH (topic = 'mixed', format = '{format}')")
    stop = threading.Event()
    failure = []
    written = []

    def write(pick):
        try:
            while not stop.is_set():
                node.sql(pick.choice(["INSERT INTO mixed_rows VALUES ({}, {}) ON CONFLICT DO UPDATE SET n = excluded.n", "UPDATE mixed_rows SET n = -{1} WHERE id = {0}",
                                      "DELETE FROM mixed_rows WHERE id = {}"]).format(pick.randrange(6), pick.randrange(1000)))
                written.append(1)
        except BaseException as error:  # shown by the main thread
            failure.append(error)

    writers = [threading.Thread(target=write, args=(random.Random(choose.random()),)) for _ in range(2)]
    [thread.start() for thread in writers]
    client = producer(node)
    sent = 0
    while not failure and (sent < 300 or len(written) < 100):
        block = []
        for _ in range(5):
            key, gone = choose.randrange(6), choose.random() < 0.3
            value = None if gone else {"id": key, "n": choose.randrange(1000)}
            block.append((json.dumps({"id": key}), value if format == "json" else {"op": "d" if gone else "u", "before": None, "after": value}))
        send(client, block, "mixed")
        sent += len(block)
    stop.set()
    [thread.join() for thread in writers]
    assert not failure, failure

    def replayed():
        """What the topic makes of the table; the last records may still be on their way to what can be read."""
        rows = {}
        raw = node.sql("SELECT decode(key), decode(value) FROM mixed ORDER BY _offset")
        for key, value in raw:
            value = value and json.loads(value)
            after = value["after"] if format == "debezium" else value
            rows.pop(json.loads(key)["id"], None)
            if after:
                rows[after["id"]] = after["n"]
        return len(raw) > sent + 30 and [list(item) for item in sorted(rows.items())]  # most statements change something

    wait_for(lambda: node.sql("SELECT id, n FROM mixed_rows ORDER BY id") == replayed())
    assert balanced(node)


def test_what_was_written_is_read_after_its_token(node):
    node.sql("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM users")
    with psycopg.connect(dsn(node), autocommit=True) as session, psycopg.connect(dsn(node), autocommit=True) as reader:
        for i in range(20):
            session.execute("INSERT INTO users VALUES (%s, 'x', 1)", (i,))
            token = session.execute("SHOW millrace.token").fetchall()[0][0]
            assert token
            reader.execute(f"SET millrace.after = '{token}'")
            assert reader.execute("SELECT n FROM counted").fetchall() == [(i + 1,)]
    node.kill()
    node.start()
    with psycopg.connect(dsn(node), autocommit=True) as reader:
        reader.execute(f"SET millrace.after = '{token}'")
        assert reader.execute("SELECT n FROM counted").fetchall() == [(20,)]


def test_a_statement_waits_for_an_open_transaction_and_is_not_lost(node):
    client = producer(node, transactional_id="t")
    client.init_transactions(30)
    client.begin_transaction()
    for partition in range(3):
        client.produce("people", key=json.dumps({"id": 100 + partition}), value=json.dumps(row(100 + partition, "open", 1)), partition=partition)
    client.flush(30)
    writer = threading.Thread(target=node.sql, args=("INSERT INTO users VALUES (1, 'ann', 30)",))
    writer.start()
    writer.join(1)
    assert writer.is_alive() and users(node) == [], "what stands behind an open transaction is not visible"
    client.abort_transaction(30)
    writer.join(30)
    assert users(node) == [[1, "ann", 30]] and balanced(node)


def test_statements_beside_producers_and_kills(node, seed):
    choose = random.Random(seed)
    node.sql(VIEW)
    node.sql("INSERT INTO users VALUES (0, 'counter', 0)")
    stop = threading.Event()
    failure = []
    acknowledged = [0]

    def count():
        while not stop.is_set():
            try:
                node.sql("UPDATE users SET age = age + 1 WHERE id = 0")
                acknowledged[0] += 1
            except (OSError, Refused) as error:
                if isinstance(error, Refused) and error.status not in (429, 503, 504):
                    failure.append(error)
                    return

    def produce():  # other rows of the table
        expected = {}
        client = producer(node)
        for i in range(1, 400):
            key = choose.randrange(1, 20)
            expected[key] = [key, f"n{i}", i]
            client.produce("people", key=str(key), value=json.dumps(row(*expected[key])))
            client.poll(0)
        client.flush(60)
        return expected

    counters = [threading.Thread(target=count) for _ in range(3)]
    [thread.start() for thread in counters]
    expected = produce()
    for _ in range(3):
        before = acknowledged[0]
        wait_for(lambda: acknowledged[0] > before + 20 or failure)
        node.kill()
        node.start()
    stop.set()
    [thread.join() for thread in counters]
    assert not failure, failure
    wait_for(lambda: [each for each in users(node) if each[0] > 0] == sorted(expected.values()))
    counted = node.sql("SELECT age FROM users WHERE id = 0")[0][0]
    # No increment is lost; of those that a kill cut off, three at most each time, some have happened.
    assert acknowledged[0] <= counted <= acknowledged[0] + 9
    assert node.difference("ages") == 0 and balanced(node)
