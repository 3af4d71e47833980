"""A keyed topic that Kafka clients write becomes a table: CREATE TABLE … WITH (topic = 'name', format = 'json' | 'debezium')."""
import json
import pathlib
import random
import threading
import time

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from node import Refused, millrace
from pg_node import dsn
from test_kafka import consume, consumer, producer, wait_for

TABLE = "CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR NOT NULL, age INTEGER CHECK (age >= 0)) WITH (topic = 'people', format = 'json')"
EVENTS = "CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR, age INTEGER) WITH (topic = 'people', format = 'debezium')"
VIEW = "CREATE MATERIALIZED VIEW ages AS SELECT age, count(*) AS n, min(name) AS first FROM users GROUP BY age"


@pytest.fixture
def node(make_node):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    yield node
    if node.process.poll() is None:
        node.stop()


def topic(node, name="people", partitions=1):
    node.sql(f"CREATE STREAM {name} INTO {partitions} PARTITIONS WITH (format = 'raw')")


def send(client, records, name="people"):
    """(key, value) or (key, value, partition); a value that is not text is sent as JSON."""
    for key, value, *partition in records:
        if value is not None and not isinstance(value, (str, bytes)):
            value = json.dumps(value)
        client.produce(name, key=key, value=value, **({"partition": partition[0]} if partition else {}))
    assert client.flush(30) == 0


def row(i, name, age):
    return {"id": i, "name": name, "age": age}


def event(op, before=None, after=None, **more):
    return {"op": op, "before": before, "after": after, "source": {"table": "users"}, "ts_ms": 1, **more}


def users(node):
    return node.sql("SELECT id, name, age FROM users ORDER BY id")


def shows(node, rows):
    wait_for(lambda: users(node) == [list(row) for row in sorted(rows)])


def set_aside(node):
    return [text for text, in node.sql("SELECT _error FROM users.quarantine ORDER BY _partition, _offset")]


def balanced(node):
    return node.get("/v1/ledger")["balanced"] is True


def test_the_newest_record_of_a_key_is_its_row(node):
    client = producer(node)
    topic(node)
    send(client, [("1", row(1, "ann", 30)), ("2", row(2, "bob", 40)), ("1", row(1, "anna", 31)), ('{"id": 3}', row(3, "cid", None)), ("2", None)])
    # It has all history of the topic when the statement returns.
    node.sql(TABLE)
    assert users(node) == [[1, "anna", 31], [3, "cid", None]]
    node.sql(VIEW)
    send(client, [(None, row(4, "dan", 31)), ("3", None), ("9", None), ("5", {"name": "eve", "age": 31})])
    shows(node, [(1, "anna", 31), (4, "dan", 31), (5, "eve", 31)])
    wait_for(lambda: node.sql("SELECT age, n, first FROM ages") == [[31, 3, "anna"]])
    assert node.difference("ages") == 0 and balanced(node)
    books = node.books("users")
    assert (books["records"], books["rows"], books["invalid"]) == (9, 9, 0)
    assert json.loads(node.request("GET", "/v1/tables/users/4")[2])["name"] == "dan"
    # The topic is what it was: consumers read what producers sent, SQL the raw records.
    reader = consumer(node, "others")
    reader.subscribe(["people"])
    assert len(consume(reader, 9)) == 9
    reader.close()
    assert node.sql("SELECT count(*) FROM people") == [[9]]
    assert node.sql("SELECT relation FROM millrace.columns WHERE relation = 'users' LIMIT 1") == [["users"]]
    for restart in (node.kill, node.stop):
        restart()
        node.start()
        shows(node, [(1, "anna", 31), (4, "dan", 31), (5, "eve", 31)])
        assert node.difference("ages") == 0 and balanced(node)


def test_records_that_are_no_rows_are_set_aside_with_the_reason(node):
    topic(node)
    client = producer(node)
    bad = [("1", "no json"), ("1", {"id": 1}), ("1", row(1, "x", -1)), ("1", row(2, "x", 1)), ("one", row(1, "x", 1)), ("one", None), (None, None),
           ("1", row(1, "x", "many")), ("1", b"\xff\xfe"), ('{"no": 1}', None), ("1", "[]")]
    send(client, [("1", row(1, "ann", 30)), *bad[:5]])
    node.sql(TABLE)
    send(client, bad[5:])
    wait_for(lambda: node.books("users")["invalid"] == len(bad))
    assert users(node) == [[1, "ann", 30]], "a record that is no row changes nothing"
    reasons = set_aside(node)
    assert len(reasons) == len(bad) and all(reasons)
    for reason, part in zip(reasons, ["not a JSON object", '"name" is missing', "CHECK", 'its key {"id":1} is not that of its row, {"id":2}', "its key: ", "its key: ",
                                      "neither key nor value", '"age"', "UTF-8", '"id" is missing', ""]):
        assert part in reason, (reason, part)
    assert node.sql("SELECT count(*), min(_reason), max(_bytes::VARCHAR LIKE '%no json%') FROM users.quarantine") == [[len(bad), "invalid", True]]
    assert balanced(node)
    node.kill()
    node.start()
    assert set_aside(node) == reasons and balanced(node)
    assert node.sql("SELECT count(*) FROM people") == [[len(bad) + 1]], "the stream of raw records has them all"


@pytest.mark.parametrize("wrapped", [False, True])
def test_change_events_of_debezium(node, wrapped):
    def sent(key, value):
        wrap = lambda payload: {"schema": {"type": "struct", "fields": [{"field": "id", "type": "int64"}]}, "payload": payload} if wrapped else payload
        return json.dumps(wrap({"id": key})), None if value is None else wrap(value)

    topic(node)
    client = producer(node)
    ann, bob, cid = row(1, "ann", 30), row(2, "bob", 40), row(3, "cid", 50)
    send(client, [sent(1, event("r", None, ann)), sent(2, event("c", None, bob)), sent(3, event("c", None, cid)),
                  sent(1, event("u", ann, row(1, "anna", 31))), sent(2, event("d", bob)), sent(2, None)])
    node.sql(EVENTS)
    node.sql(VIEW)
    assert users(node) == [[1, "anna", 31], [3, "cid", 50]]
    # No before (its replica identity is the key), only the key in it, and a key that is another one from now on.
    send(client, [sent(4, event("c", None, row(4, "dan", 1))), sent(4, event("u", None, row(4, "dan", 2))), sent(3, event("d")),
                  sent(1, event("u", row(1, "anna", 31), row(7, "anna", 31)))])
    shows(node, [(4, "dan", 2), (7, "anna", 31)])
    send(client, [sent(4, event("d", {"id": 4, "name": None, "age": None})), sent(4, None), sent(9, event("m")), sent(9, {"no": "event"}),
                  sent(9, event("c")), sent(9, event("u", None, {"id": "x"})), ("k", "no json"), (None, event("d"))])
    shows(node, [(7, "anna", 31)])
    wait_for(lambda: node.books("users")["records"] == 18)
    reasons = set_aside(node)
    assert len(reasons) == 6
    for reason, part in zip(reasons, ['op "m" is not known', "no op", "has no after", '"id"', "JSON", "neither before nor key"]):
        assert part in reason, (reason, part)
    # A table that is emptied: what came before is gone, what comes behind counts, in one step or in several.
    send(client, [sent(8, event("c", None, row(8, "x", 1))), (None, event("t")), sent(5, event("c", None, row(5, "eve", 5)))])
    shows(node, [(5, "eve", 5)])
    wait_for(lambda: node.sql("SELECT * FROM ages") == [[5, 1, "eve"]])
    assert node.difference("ages") == 0 and balanced(node)
    node.sql("CREATE TABLE again (id BIGINT PRIMARY KEY, name VARCHAR, age INTEGER) WITH (topic = 'people', format = 'debezium')")
    assert node.sql("SELECT id, name, age FROM again") == [[5, "eve", 5]], "two tables may stand on one topic"
    node.kill()
    node.start()
    shows(node, [(5, "eve", 5)])
    assert set_aside(node) == reasons and balanced(node)


def test_a_key_may_move_between_partitions(node):
    topic(node, partitions=3)
    client = producer(node)
    expected = {}
    choose = random.Random(5)
    for i in range(300):
        key, partition = choose.randrange(10), choose.randrange(3)
        if choose.random() < 0.2:
            expected.pop(key, None)
            send(client, [(str(key), None, partition)])
        else:
            expected[key] = (key, f"n{i}", i)
            send(client, [(str(key), row(key, f"n{i}", i), partition)])
        if i == 150:
            node.sql(TABLE)
            node.sql(VIEW)
            assert users(node) == [list(row) for row in sorted(expected.values())], "as they were appended, whatever their partition"
            admin = AdminClient({"bootstrap.servers": node.kafka})
            list(admin.create_partitions([NewPartitions("people", 4)]).values())[0].result(30)
    send(producer(node), [("77", row(77, "last", 1), 3)])
    shows(node, [*expected.values(), (77, "last", 1)])
    assert node.difference("ages") == 0 and balanced(node)
    node.sql(TABLE.replace("users", "later"))
    assert node.sql("SELECT count(*) FROM (FROM later EXCEPT FROM users)") == [[0]] and node.sql("SELECT count(*) FROM (FROM users EXCEPT FROM later)") == [[0]]
    node.kill()
    node.start()
    shows(node, [*expected.values(), (77, "last", 1)])


def test_records_that_are_gone_are_not_missed(node):
    topic(node)
    client = producer(node)
    send(client, [(str(i % 40), row(i % 40, f"n{i}", 1)) for i in range(100)])
    admin = AdminClient({"bootstrap.servers": node.kafka})
    delete = lambda before: list(admin.delete_records([TopicPartition("people", 0, before)]).values())[0].result(30)
    delete(70)
    node.sql(TABLE)
    expected = [[i % 40, f"n{i}", 1] for i in range(80, 100)]
    expected = sorted([*expected, *([i % 40, f"n{i}", 1] for i in range(70, 80))])
    assert users(node) == expected
    node.kill()
    node.start()
    assert users(node) == expected and balanced(node)
    # What is deleted from now on the table keeps.
    admin = AdminClient({"bootstrap.servers": node.kafka})
    delete(100)
    send(producer(node), [("0", None)])
    shows(node, [row for row in expected if row[0] != 0])
    for restart in (node.kill, node.stop):
        restart()
        node.start()
        shows(node, [row for row in expected if row[0] != 0])
        assert balanced(node)


def test_postgresql_sees_a_table(node):
    topic(node)
    send(producer(node), [("1", row(1, "ann", 30)), ("2", row(2, "bob", 40))])
    node.sql(TABLE)
    node.sql("CREATE INDEX ON users (age)")
    with psycopg.connect(dsn(node), autocommit=True) as session:
        assert session.execute("SELECT name FROM users WHERE id = %s", (2,)).fetchall() == [("bob",)]
        assert session.execute("SELECT name FROM users WHERE age = 30").fetchall() == [("ann",)]
        assert session.execute("SELECT relkind FROM pg_catalog.pg_class WHERE relname = 'users'").fetchall() == [("r",)]


def test_keys_of_several_columns_and_transactions(node):
    topic(node, "stock", 2)
    node.sql("CREATE TABLE items (shop VARCHAR, sku INTEGER, n INTEGER, PRIMARY KEY (shop, sku)) WITH (topic = 'stock', format = 'json')")
    client = producer(node, transactional_id="t")
    client.init_transactions(30)

    def write(*records, commit=True):
        client.begin_transaction()
        send(client, records, "stock")
        client.commit_transaction(30) if commit else client.abort_transaction(30)

    key = lambda shop, sku: json.dumps({"sku": sku, "shop": shop})
    write((key("a", 1), {"shop": "a", "sku": 1, "n": 5}), (key("b", 2), {"n": 6}))
    write((key("a", 1), {"shop": "a", "sku": 1, "n": 500}), (key("b", 2), None), commit=False)
    write((key("c", 3), {"shop": "c", "sku": 3, "n": 7}), (key("a", 1), None))
    wait_for(lambda: node.sql("SELECT shop, sku, n FROM items ORDER BY ALL") == [["b", 2, 6], ["c", 3, 7]])
    wait_for(lambda: node.books("items")["aborted"] == 2)
    assert balanced(node)


def test_a_table_has_the_errors_that_help(node):
    topic(node)
    node.sql("CREATE STREAM typed (id BIGINT)")
    node.sql("CREATE TABLE other (id BIGINT PRIMARY KEY)")
    node.sql("CREATE MATERIALIZED VIEW v WITH (changes = 'append') AS SELECT count(*) AS n FROM typed")
    make = lambda options, key=" PRIMARY KEY": node.sql(f"CREATE TABLE users (id BIGINT{key}) WITH ({options})")
    for options, words in [("topic = 'peopel', format = 'json'", ["peopel", "does not exist", "did you mean", "people", "position"]), ("topic = 'typed'", ["stream with columns"]),
                           ("topic = 'other'", ["raw records", "is a table"]), ("topic = '__catalog'", ["the node's own"]), ("topic = 'v.changes'", ["written by view", "v"]),
                           ("topic = 'people', format = 'csv'", ["csv", "json", "debezium"]), ("format = 'json'", ["by its topic"]), ("topic = 'users'", ["name of its topic"]),
                           ("topic = 'people', seed = 'x.csv'", ["seed or from a topic"]), ("topik = 'people'", ["topik", "topic"])]:
        with pytest.raises(Refused) as refused:
            make(options)
        for word in words:
            assert word in str(refused.value), (options, str(refused.value))
    with pytest.raises(Refused, match="PRIMARY KEY"):
        make("topic = 'people'", "")
    node.sql(TABLE)
    with pytest.raises(Refused, match="exists already"):
        node.sql(TABLE)
    with pytest.raises(Refused, match="is not replaced"):
        node.sql(TABLE.replace("CREATE", "CREATE OR REPLACE", 1))
    with pytest.raises(Refused, match="users"):
        node.sql("DROP STREAM people")
    with pytest.raises(Refused, match="users"):
        node.sql("ALTER STREAM people RENAME TO folk")
    with pytest.raises(Refused, match="users"):
        node.sql("CREATE STREAM people (id BIGINT)")
    admin = AdminClient({"bootstrap.servers": node.kafka})
    with pytest.raises(Exception, match="POLICY_VIOLATION"):
        list(admin.delete_topics(["people"]).values())[0].result(30)
    assert "users" not in admin.list_topics(timeout=30).topics and "people" in admin.list_topics(timeout=30).topics


def test_it_is_renamed_dropped_and_made_again(node):
    topic(node)
    client = producer(node)
    send(client, [("1", row(1, "ann", 30)), ("1", "bad")])
    node.sql(TABLE)
    node.sql("ALTER TABLE users RENAME TO folk")
    send(client, [("2", row(2, "bob", 40))])
    wait_for(lambda: node.sql("SELECT id FROM folk ORDER BY id") == [[1], [2]])
    node.kill()
    node.start()
    assert node.sql("SELECT id FROM folk ORDER BY id") == [[1], [2]] and node.sql("SELECT count(*) FROM folk.quarantine") == [[1]]
    node.sql("DROP TABLE folk")
    send(producer(node), [("3", row(3, "cid", 50))])
    node.sql(TABLE)
    assert users(node) == [[1, "ann", 30], [2, "bob", 40], [3, "cid", 50]], "the topic stays with all its records"
    assert len(set_aside(node)) == 1
    node.stop()
    node.start()
    assert len(users(node)) == 3 and balanced(node)
    node.sql("DROP STREAM people CASCADE")
    with pytest.raises(Refused, match="does not exist"):
        users(node)
    node.kill()
    node.start()
    assert balanced(node)


def test_much_history_holds_nobody_back(node):
    topic(node, partitions=2)
    node.sql("CREATE STREAM live (id BIGINT)")
    client = producer(node)
    for begin in range(0, 200_000, 20_000):
        for i in range(begin, begin + 20_000):
            key = i % 50_000
            client.produce("people", key=str(key), value=None if i % 7 == 0 else json.dumps(row(key, f"n{i}", i % 90)))
        assert client.flush(60) == 0
    expected = {}
    for i in range(200_000):
        expected[i % 50_000] = None if i % 7 == 0 else (i % 50_000, f"n{i}", i % 90)
    made = threading.Thread(target=node.sql, args=(TABLE,))
    made.start()
    slowest = 0.0
    number = 0
    while made.is_alive():
        begin = time.monotonic()
        node.send("live", [json.dumps({"id": number})], query="?wait=visible&timeout=60s")
        slowest = max(slowest, time.monotonic() - begin)
        number += 1
    made.join()
    rows = [value for value in expected.values() if value is not None]
    digest = node.sql("SELECT count(*), sum(id)::BIGINT, sum(age)::BIGINT, max(name) FROM users")
    assert digest == [[len(rows), sum(r[0] for r in rows), sum(r[2] for r in rows), max(r[1] for r in rows)]]
    node.sql(VIEW)
    assert node.difference("ages") == 0 and balanced(node)
    assert number == 0 or slowest < 10
    node.kill()
    node.start()
    assert node.sql("SELECT count(*), sum(id)::BIGINT, sum(age)::BIGINT, max(name) FROM users") == digest
    assert node.sql("SELECT name FROM users WHERE id = 1") == [[expected[1][1]]]


def test_a_project_declares_it(make_node):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    client = producer(node)
    send(client, [("1", row(1, "ann", 30))])
    wait_for(lambda: node.sql("SELECT count(*) FROM people") == [[1]])
    node.stop()
    file = pathlib.Path(node.project) / "project.sql"
    plan = lambda: millrace("plan", node.project, "--data", node.data)
    file.write_text(f"{TABLE};\n{VIEW};\n")
    assert "+ table users" in plan().stdout, plan()
    for _ in range(2):
        node.start()
        shows(node, [(1, "ann", 30)])
        wait_for(lambda: node.sql("SELECT n FROM ages") == [[1]])
        node.stop()
        assert "nothing to change" in plan().stdout
    file.write_text(TABLE.replace("json", "debezium") + ";\n")
    assert "its format changed" in plan().stdout
    file.write_text(TABLE.replace("people", "peeple") + ";\n")
    done = plan()
    assert done.returncode != 0 and "peeple" in done.stderr and "project.sql:1" in done.stderr, done


def test_backups_have_it(node, tmp_path):
    topic(node)
    client = producer(node)
    send(client, [("1", row(1, "ann", 30)), ("2", "bad"), ("3", row(3, "cid", 1))])
    node.sql(TABLE)
    node.sql(VIEW)
    done = node.cli("backup", tmp_path / "backups", "--quiet")
    assert done.returncode == 0, done.stderr
    before = users(node), set_aside(node)
    node.stop()
    for directory, made in [(tmp_path / "restored", lambda: millrace("restore", tmp_path / "backups", "--data", tmp_path / "restored", "--quiet")), (node.data, None)]:
        if made:
            assert made().returncode == 0
        verified = millrace("verify", "--data", directory, "--quiet")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    node.data = tmp_path / "restored"
    node.start()
    assert (users(node), set_aside(node)) == before
    send(producer(node), [("1", row(1, "anna", 31))])
    shows(node, [(1, "anna", 31), (3, "cid", 1)])
    assert node.difference("ages") == 0 and balanced(node)


@pytest.mark.parametrize("format", ["json", "debezium"])
def test_under_load_and_kills_it_is_what_a_dictionary_would_be(node, seed, format):
    choose = random.Random(seed)
    topic(node, partitions=3)
    node.sql("CREATE VIEW other AS SELECT 1 AS one")
    model, made = {}, False
    for round_number in range(5):
        attempted = []  # in the order of each key's partition
        failure = []

        def send_until_killed():
            try:
                client = producer(node, enable_idempotence=True)
                while True:
                    block = []
                    for _ in range(40):
                        key = choose.randrange(60)
                        value = None if choose.random() < 0.25 else row(key, f"n{choose.randrange(1000)}", choose.randrange(9))
                        block.append((key, value))
                    delivered = [False] * len(block)
                    attempted.append((block, delivered))
                    for number, (key, value) in enumerate(block):
                        def note(error, message, number=number, delivered=delivered):
                            delivered[number] = error is None
                        text = value if format == "json" else event("d", {"id": key}) if value is None else event("u", None, value)
                        client.produce("people", key=str(key), value=None if text is None else json.dumps(text), on_delivery=note)
                    if client.flush(3) != 0 or not all(delivered):
                        return
            except BaseException as error:  # shown by the main thread
                failure.append(error)

        sender = threading.Thread(target=send_until_killed)
        sender.start()
        wait_for(lambda: len(attempted) > 5)
        killer = threading.Timer(choose.uniform(0, 0.3), node.kill)
        killer.start()
        if not made:
            try:
                node.sql(TABLE if format == "json" else EVENTS)
                node.sql(VIEW)
            except (OSError, Refused):
                pass
        killer.join()
        sender.join()
        assert not failure, failure
        node.start()
        relations = [name for name, in node.sql("SELECT DISTINCT relation FROM millrace.columns")]
        if "users" not in relations:
            node.sql(TABLE if format == "json" else EVENTS)
        if "ages" not in relations:
            node.sql(VIEW)
        made = True
        # What was acknowledged is there; what was on its way when the node went may be.
        raw = node.sql("SELECT decode(key), decode(value), _partition, _offset FROM people ORDER BY _partition, _offset")
        assert len(raw) >= sum(sum(delivered) for _, delivered in attempted)
        model = {}
        for key, value, _, _ in raw:
            value = None if value is None else json.loads(value)
            if format == "debezium":
                value = value["after"]
            if value is None:
                model.pop(int(key), None)
            else:
                model[int(key)] = (value["id"], value["name"], value["age"])
        acknowledged = {}
        for block, delivered in attempted:
            for (key, value), done in zip(block, delivered):
                acknowledged[key] = (value and (value["id"], value["name"], value["age"])) if done else "unknown"
        for key, value in acknowledged.items():
            assert value == "unknown" or model.get(key) == value
        shows(node, model.values())
        wait_for(lambda: node.difference("ages") == 0)
        wait_for(lambda: balanced(node))
