"""A view's changes are a topic: what Kafka clients read of it adds up to the view, each change once, over kills."""
import json
import random
import threading
import time

import pytest

from node import Refused, millrace
from test_kafka import consumer, producer, wait_for

PROJECT = """
CREATE STREAM sales (shop VARCHAR NOT NULL, amount DECIMAL(10,2));
CREATE TABLE shops (shop VARCHAR PRIMARY KEY, city VARCHAR);
CREATE MATERIALIZED VIEW totals WITH (changes = 'upsert') AS SELECT shop, count(*) AS n, sum(amount) AS amount FROM sales GROUP BY shop HAVING count(*) % 7 <> 0;
CREATE MATERIALIZED VIEW history WITH (changes = 'append') AS SELECT shop, count(*) AS n, sum(amount) AS amount FROM sales GROUP BY shop;
CREATE MATERIALIZED VIEW lines WITH (changes = 'append') AS SELECT s.shop, amount, city FROM sales s JOIN shops t ON s.shop = t.shop;
"""


def read_all(node, topic, seconds=30):
    """Everything that the topic holds now."""
    from confluent_kafka import TopicPartition
    reader = consumer(node, "reader" + str(random.random()), enable_auto_commit=False)
    deadline = time.monotonic() + seconds
    while True:
        try:
            low, high = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
            break
        except Exception:  # the topic is being made
            assert time.monotonic() < deadline
            time.sleep(0.1)
    reader.assign([TopicPartition(topic, 0, low)])
    messages = []
    while time.monotonic() < deadline and reader.position([TopicPartition(topic, 0)])[0].offset < high:
        messages += [m for m in reader.consume(10_000, 0.2) if m.error() is None]
        if high == low:
            break
    reader.close()
    return messages


def upserted(messages):
    rows = {}
    for message in messages:
        if message.value() is None:
            rows.pop(message.key(), None)
        else:
            rows[message.key()] = message.value()
    return sorted(rows.values())


def folded(messages):
    """The rows that the envelopes add up to; each change has to fit what came before."""
    rows, steps = {}, []
    for message in messages:
        change = json.loads(message.value(), parse_float=str)
        step = change["source"]["step"]
        assert not steps or step >= steps[-1], "steps go back"
        assert step == int(dict(message.headers())["step"])
        if change["op"] == "t":
            rows = {}
            continue
        steps.append(step)
        for row, weight in ((change["before"], -1), (change["after"], 1)):
            if row is not None:
                text = json.dumps(row, sort_keys=True)
                rows[text] = rows.get(text, 0) + weight
        assert change["op"] == {(False, True): "c", (True, True): "u", (True, False): "d"}.get((change["before"] is not None, change["after"] is not None)) or change["op"] == "r"
    assert all(weight >= 0 for weight in rows.values()), "a row went that was not there"
    return {text: weight for text, weight in rows.items() if weight}


def objects(node, view):
    """The rows as JSON texts."""
    body = node.request("POST", "/v1/sql?timeout=60s", f"FROM {view}".encode(), {"Content-Type": "application/sql", "Accept": "application/x-ndjson"})[2]
    return body.splitlines()


def content(node, view):
    rows = {}
    for line in objects(node, view):
        text = json.dumps(json.loads(line, parse_float=str), sort_keys=True)
        rows[text] = rows.get(text, 0) + 1
    return rows


def expect_equal(node):
    wait_for(lambda: upserted(read_all(node, "totals.changes")) == sorted(objects(node, "totals")))
    for view in ("history", "lines"):
        wait_for(lambda: folded(read_all(node, f"{view}.changes")) == content(node, view))


def test_changes_add_up_to_the_views(node):
    random_ = random.Random(3)
    for _ in range(20):
        node.send("sales", [json.dumps({"shop": f"s{random_.randrange(5)}", "amount": random_.randrange(1000) / 100}) for _ in range(30)])
        node.sql(f"INSERT OR REPLACE INTO shops VALUES ('s{random_.randrange(5)}', 'city {random_.randrange(3)}')")
    expect_equal(node)
    # A row that is there since one step has one record since.
    keys = [json.loads(m.key()) for m in read_all(node, "history.changes")]
    assert all(set(key) == {"shop"} for key in keys)
    assert all(m.key() is None for m in read_all(node, "lines.changes"))
    assert int(dict(read_all(node, "totals.changes")[-1].headers())["step"]) > 0


def test_nothing_is_lost_or_twice_over_kills(node):
    stop, sent = threading.Event(), []

    def load():
        number = 0
        while not stop.is_set():
            try:
                node.send("sales", [json.dumps({"shop": f"s{i % 9}", "amount": 1}) for i in range(number, number + 200)])
                sent.append(200)
            except Exception:  # it is being killed
                time.sleep(0.05)
            number += 200

    node.sql("INSERT INTO shops SELECT 's' || i, 'c' FROM range(4) r(i)")
    for _ in range(4):
        stop.clear()
        thread = threading.Thread(target=load)
        thread.start()
        time.sleep(1.5)
        node.kill()
        stop.set()
        thread.join()
        node.start()
        expect_equal(node)


def test_replaced_renamed_and_dropped(node):
    node.send("sales", [json.dumps({"shop": f"s{i % 9}", "amount": 1}) for i in range(900)])
    expect_equal(node)
    node.sql("CREATE OR REPLACE MATERIALIZED VIEW history WITH (changes = 'append') AS "
             "SELECT shop, count(*) AS n, sum(amount) AS amount FROM sales WHERE shop <> 's1' GROUP BY shop")
    expect_equal(node)
    assert not any(json.loads(m.value())["op"] == "t" for m in read_all(node, "history.changes")), "the difference alone"
    # Other columns: everything anew.
    node.sql("CREATE OR REPLACE MATERIALIZED VIEW history WITH (changes = 'append') AS SELECT shop, count(*) AS orders FROM sales GROUP BY shop")
    expect_equal(node)
    node.sql("ALTER MATERIALIZED VIEW history RENAME TO story")
    node.send("sales", [json.dumps({"shop": "s3", "amount": 1})])
    wait_for(lambda: folded(read_all(node, "story.changes")) == content(node, "story"))
    extra = "CREATE MATERIALIZED VIEW extra WITH (changes = 'upsert') AS SELECT shop, {} FROM sales GROUP BY shop"
    node.sql(extra.format("count(*) AS n"))
    wait_for(lambda: len(upserted(read_all(node, "extra.changes"))) == 9)
    node.sql("DROP MATERIALIZED VIEW extra")
    from confluent_kafka.admin import AdminClient
    admin = AdminClient({"bootstrap.servers": node.kafka})
    wait_for(lambda: "extra.changes" not in admin.list_topics(timeout=30).topics)
    assert "story.changes" in admin.list_topics(timeout=30).topics and "history.changes" not in admin.list_topics(timeout=30).topics
    # One of the same name is another view.
    node.sql(extra.format("max(amount) AS amount"))
    node.kill()
    node.start()
    wait_for(lambda: upserted(read_all(node, "extra.changes")) == sorted(objects(node, "extra")))
    assert all(b"amount" in m.value() for m in read_all(node, "extra.changes"))


def test_replaced_by_one_with_another_key_or_other_names(node):
    node.sql("CREATE TABLE pairs (a INTEGER PRIMARY KEY, b INTEGER)")
    node.sql("INSERT INTO pairs SELECT i, i % 3 FROM range(9) r(i)")

    def replace(select, changes="upsert"):
        node.sql(f"CREATE OR REPLACE MATERIALIZED VIEW sums WITH (changes = '{changes}') AS {select}")

    def expect(key):
        wait_for(lambda: upserted(read_all(node, "sums.changes")) == sorted(objects(node, "sums")))
        assert {tuple(json.loads(m.key())) for m in read_all(node, "sums.changes")} == {key}

    replace("SELECT a, max(b) AS b FROM pairs GROUP BY a")
    expect(("a",))
    # The same columns, identified by another one: rows under the old keys would stay for ever.
    replace("SELECT max(a) AS a, b FROM pairs GROUP BY b")
    expect(("b",))
    # Columns of the same types with other names: rows that have not changed have them too.
    replace("SELECT max(a) AS a, b AS c FROM pairs GROUP BY b")
    expect(("c",))
    replace("SELECT max(a) AS a, b AS c FROM pairs GROUP BY b", "append")
    wait_for(lambda: folded(read_all(node, "sums.changes")) == content(node, "sums"))
    replace("SELECT max(a) AS d, b AS c FROM pairs GROUP BY b", "append")
    wait_for(lambda: folded(read_all(node, "sums.changes")) == content(node, "sums"))
    node.kill()
    node.start()
    node.sql("INSERT INTO pairs VALUES (20, 1)")
    wait_for(lambda: folded(read_all(node, "sums.changes")) == content(node, "sums"))


def test_what_is_refused(node):
    with pytest.raises(Refused, match="identify a row"):
        node.sql("CREATE MATERIALIZED VIEW v WITH (changes = 'upsert') AS SELECT shop FROM sales")
    with pytest.raises(Refused, match="upsert"):
        node.sql("CREATE MATERIALIZED VIEW v WITH (changes = 'all') AS SELECT shop FROM sales")
    # Such a topic and a relation cannot have one name, whichever comes first and however it gets it.
    node.sql('CREATE STREAM "v.changes" (a INTEGER)')
    view = "CREATE MATERIALIZED VIEW {} WITH (changes = 'append') AS SELECT shop FROM sales"
    with pytest.raises(Refused, match="topic of changes"):
        node.sql(view.format("v"))
    node.sql(view.format("w"))
    for taken in ('CREATE STREAM "W.Changes" (a INTEGER)', 'CREATE TABLE "w.changes" (a INTEGER)', 'CREATE VIEW "w.changes" AS SELECT 1 AS a',
                  'ALTER STREAM "v.changes" RENAME TO "w.changes"', "ALTER MATERIALIZED VIEW w RENAME TO v"):
        with pytest.raises(Refused, match="topic of changes"):
            node.sql(taken)
    errors = []
    client = producer(node)
    client.produce("totals.changes", value="x", on_delivery=lambda error, message: errors.append(error))
    client.flush(30)
    assert "validate record" in str(errors[0])


RETAINED = """
CREATE STREAM sales (id BIGINT NOT NULL);
CREATE MATERIALIZED VIEW lines WITH (changes = 'append', retention = '1 second') AS SELECT id FROM sales;
CREATE MATERIALIZED VIEW latest WITH (changes = 'upsert') AS SELECT id % 5 AS k, max(id) AS id FROM sales GROUP BY ALL;
"""


def settings(node, topic):
    """Of a topic; none where it is not there yet."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, ConfigResource
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    client = AdminClient({"bootstrap.servers": node.kafka})
    try:
        described = client.describe_configs([resource])[resource].result(30)
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART, error
        return None
    return described["retention.ms"].value, described["retention.bytes"].value


def alter(node, topic, name, value):
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    operation = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    resource.add_incremental_config(ConfigEntry(name, value, incremental_operation=operation))
    client = AdminClient({"bootstrap.servers": node.kafka})
    client.incremental_alter_configs([resource])[resource].result(30)


def low(node, topic):
    from confluent_kafka import TopicPartition
    reader = consumer(node, "low")
    try:
        return reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[0]
    finally:
        reader.close()


def test_retention_frees_whole_steps_and_nothing_is_twice(make_node):
    node = make_node(RETAINED)
    node.start()
    wait_for(lambda: settings(node, "lines.changes") == ("1000", "-1"))
    sent = 0

    def more():
        nonlocal sent
        sent += 1
        node.send("sales", [json.dumps({"id": sent})], query="?wait=visible")

    for end in node.stop, node.kill:
        before = low(node, "lines.changes")
        wait_for(lambda: (more(), time.sleep(0.1), low(node, "lines.changes") > before)[2])
        end()
        node.start()
        more()
        wait_for(lambda: json.loads(read_all(node, "lines.changes")[-1].value())["after"]["id"] == sent)
        messages = read_all(node, "lines.changes")
        ids = [json.loads(m.value())["after"]["id"] for m in messages]
        assert ids == list(range(ids[0], sent + 1)) and ids[0] > 1 and all(json.loads(m.value())["op"] == "c" for m in messages)
        assert [m.offset() for m in messages] == [i - 1 for i in ids], "each change is there once"
        assert len(read_all(node, "latest.changes")) > 0
    assert node.sql("SELECT count(*) FROM lines") == [[sent]]

    # It is changed without the view being built anew, by clients and by SQL, and stays over a restart.
    alter(node, "lines.changes", "retention.ms", None)
    alter(node, "lines.changes", "retention.bytes", "1000000")
    assert settings(node, "lines.changes") == ("-1", "1000000")
    node.sql("CREATE MATERIALIZED VIEW by_hand WITH (changes = 'append', retention = '1 second') AS SELECT id FROM sales")
    node.sql("ALTER MATERIALIZED VIEW by_hand SET (retention = '1 hour', retention_bytes = '5 MB')")
    node.sql("ALTER MATERIALIZED VIEW by_hand RESET (retention_bytes)")
    node.kill()
    node.start()
    wait_for(lambda: settings(node, "by_hand.changes") == ("3600000", "-1"))
    wait_for(lambda: settings(node, "lines.changes") == ("1000", "-1"))  # as the project says
    start = low(node, "by_hand.changes")
    time.sleep(1.5)
    more()
    time.sleep(1)
    assert low(node, "by_hand.changes") == start
    # A view that is made anew because of another keeps it; the statement of its own says what it is.
    node.sql("CREATE MATERIALIZED VIEW base AS SELECT id FROM sales")
    node.sql("CREATE MATERIALIZED VIEW above WITH (changes = 'append') AS SELECT id FROM base")
    node.sql("ALTER MATERIALIZED VIEW above SET (retention = '2 hours')")
    node.sql("CREATE OR REPLACE MATERIALIZED VIEW base AS SELECT id FROM sales WHERE id > 0")
    wait_for(lambda: settings(node, "above.changes") == ("7200000", "-1"))
    node.sql("CREATE OR REPLACE MATERIALIZED VIEW above WITH (changes = 'append') AS SELECT id FROM base")
    wait_for(lambda: settings(node, "above.changes") == ("-1", "-1"))
    for topic, value, problem in [("latest.changes", "1000", "compacted"), ("lines.changes", "soon", "retention.ms")]:
        with pytest.raises(Exception, match=problem):
            alter(node, topic, "retention.ms", value)
    with pytest.raises(Refused, match="is compacted"):
        node.sql("ALTER MATERIALIZED VIEW latest SET (retention = '1 day')")
    node.stop()


def test_a_project_changes_the_retention_without_building_anew(make_node):
    node = make_node(RETAINED)
    node.start()
    wait_for(lambda: settings(node, "lines.changes") == ("1000", "-1"))
    node.send("sales", [json.dumps({"id": 1})], query="?wait=visible")
    wait_for(lambda: len(read_all(node, "lines.changes")) == 1)
    node.stop()
    project = node.project + "/project.sql"
    open(project, "w").write(RETAINED.replace("1 second", "1 day"))
    planned = millrace("plan", node.project, "--data", node.data)
    assert "~ view lines  (definition changed: the retention of its changes changed)" in planned.stdout, planned.stdout + planned.stderr
    node.start()
    wait_for(lambda: settings(node, "lines.changes") == ("86400000", "-1"))
    assert [json.loads(m.value())["op"] for m in read_all(node, "lines.changes")] == ["c"]
    assert "nothing to change" in millrace("plan", node.project, "--data", node.data).stdout
    node.stop()
