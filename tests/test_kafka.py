"""The Kafka listener under real clients: kcat and confluent-kafka (librdkafka), kafka-python. Streams are topics."""
import json
import socket
import struct
import subprocess
import time

import pytest

SQL = """
CREATE STREAM clicks (user_id BIGINT NOT NULL, product VARCHAR NOT NULL, price DECIMAL(10,2)) PARTITION BY (user_id) INTO 3 PARTITIONS;
CREATE STREAM strict (id BIGINT NOT NULL) WITH (on_invalid = 'reject');
CREATE STREAM lines (text VARCHAR);
CREATE MATERIALIZED VIEW by_product AS SELECT product, count(*) AS clicks, sum(price) AS revenue FROM clicks GROUP BY product;
"""
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


@pytest.fixture
def node(make_node):
    node = make_node(SQL)
    node.start()
    yield node
    node.stop()


def click(i):
    return json.dumps({"user_id": i, "product": f"p{i % 7}", "price": f"{i % 10}.50"})


def by_product(rows):
    out = {}
    for i in rows:
        count, revenue = out.get(f"p{i % 7}", (0, 0))
        out[f"p{i % 7}"] = (count + 1, revenue + i % 10 + 0.5)
    return {product: [count, revenue] for product, (count, revenue) in out.items()}


def view(node):
    return {row[0]: [row[1], float(row[2])] for row in node.sql("SELECT product, clicks, revenue FROM by_product")}


def wait_for(condition, seconds=30):
    """Until it is true; gives what it is then."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
    return result


def kcat(node, *arguments, stdin="", timeout=60):
    done = subprocess.run(["kcat", "-b", node.kafka, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def producer(node, **settings):
    from confluent_kafka import Producer
    return Producer({"bootstrap.servers": node.kafka, "acks": "all", "linger.ms": 5, **{name.replace("_", "."): value for name, value in settings.items()}})


def consumer(node, group, **settings):
    from confluent_kafka import Consumer
    return Consumer({"bootstrap.servers": node.kafka, "group.id": group, "auto.offset.reset": "earliest", "session.timeout.ms": 6000,
                     **{name.replace("_", "."): value for name, value in settings.items()}})


MESSAGES_AT_ONCE = 100_000  # librdkafka takes up to a million


def consume(client, count, seconds=60):
    """The next `count` messages, or fewer where no more come in time."""
    messages = []
    deadline = time.monotonic() + seconds
    while len(messages) < count and time.monotonic() < deadline:
        for message in client.consume(min(count - len(messages), MESSAGES_AT_ONCE), 0.5):
            assert message.error() is None, message.error()
            messages.append(message)
    return messages


def test_kcat_lists_produces_and_consumes_and_the_view_moves(node):
    listing = kcat(node, "-L")
    assert 'topic "clicks" with 3 partitions' in listing and 'topic "lines" with 1 partitions' in listing
    kcat(node, "-P", "-t", "clicks", stdin="".join(click(i) + "\n" for i in range(100)))
    wait_for(lambda: view(node) == by_product(range(100)))
    lines = kcat(node, "-C", "-t", "clicks", "-o", "beginning", "-e", "-q").splitlines()
    assert sorted(lines) == sorted(click(i) for i in range(100))


def test_rows_that_came_over_http_are_consumed_as_the_same_json(node):
    rows = [click(i) for i in range(50)]
    node.send("clicks", rows)
    lines = kcat(node, "-C", "-t", "clicks", "-o", "beginning", "-e", "-q", "-f", "%k %s\n").splitlines()
    assert sorted(line.split(" ", 1)[1] for line in lines) == sorted(rows)
    assert all(line.split(" ", 1)[0] == str(json.loads(line.split(" ", 1)[1])["user_id"]) for line in lines)


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_taken_kept_and_read_by_client_and_view(node, codec):
    client = producer(node, compression_type=codec)
    reports = []
    for i in range(2000):
        client.produce("clicks", click(i), key=str(i), headers={"h": str(i)}, on_delivery=lambda error, message: reports.append((error, message)))
    client.flush(60)
    assert [error for error, _ in reports if error] == [] and len(reports) == 2000
    wait_for(lambda: view(node) == by_product(range(2000)))
    reader = consumer(node, f"g-{codec}")
    reader.subscribe(["clicks"])
    messages = consume(reader, 2000)
    reader.close()
    assert sorted(int(m.key()) for m in messages) == list(range(2000))
    assert all(m.value().decode() == click(int(m.key())) and m.headers() == [("h", m.key())] for m in messages)


def test_java_s_and_librdkafka_s_partitioner_put_keys_where_http_puts_them(node):
    node.send("clicks", [click(i) for i in range(60)])
    client = producer(node, partitioner="murmur2_random")
    for i in range(60):
        client.produce("clicks", click(i), key=str(i))
    client.flush(60)
    lines = kcat(node, "-C", "-t", "clicks", "-o", "beginning", "-e", "-q", "-f", "%k %p\n").splitlines()
    assert len(lines) == 120 and len(set(lines)) == 60


def test_a_group_goes_on_where_it_was_after_kill_9(node):
    client = producer(node, enable_idempotence=False)
    for i in range(300):
        client.produce("lines", str(i))
    client.flush(60)
    first = consumer(node, "readers", enable_auto_commit=False)
    first.subscribe(["lines"])
    got = [int(m.value()) for m in consume(first, 100)]
    assert got == list(range(100))
    first.commit(asynchronous=False)
    first.close()
    node.kill()
    node.start()
    second = consumer(node, "readers")
    second.subscribe(["lines"])
    assert [int(m.value()) for m in consume(second, 200)] == list(range(100, 300))
    second.close()


def test_two_members_share_the_partitions_and_one_takes_over(node):
    client = producer(node)
    for i in range(300):
        client.produce("clicks", click(i), key=str(i))
    client.flush(60)
    a, b = consumer(node, "pair"), consumer(node, "pair")
    a.subscribe(["clicks"])
    b.subscribe(["clicks"])

    def both_have_some():
        a.poll(0.1)
        b.poll(0.1)
        return a.assignment() and b.assignment() and len(a.assignment()) + len(b.assignment()) == 3

    wait_for(both_have_some)
    a.close()
    wait_for(lambda: (b.poll(0.1), len(b.assignment()) == 3)[1])
    b.close()


def test_a_static_member_that_comes_back_finds_its_partitions_and_nobody_is_disturbed(node):
    client = producer(node)
    for i in range(300):
        client.produce("clicks", click(i), key=str(i))
    client.flush(60)
    revoked = []

    def member(name):
        made = consumer(node, "static", group_instance_id=name, session_timeout_ms=30000)
        made.subscribe(["clicks"], on_revoke=lambda _, partitions: revoked.append((name, len(partitions))))
        return made

    def places(one):
        return sorted(p.partition for p in one.assignment())

    a, b = member("a"), member("b")
    wait_for(lambda: (a.poll(0.1), b.poll(0.1), places(a) and places(b) and len(places(a)) + len(places(b)) == 3)[2])
    of_a, of_b = places(a), places(b)
    revoked.clear()
    a.close()  # a static member does not leave the group
    again = member("a")
    wait_for(lambda: (b.poll(0.1), again.poll(0.1), places(again) == of_a)[2])
    assert places(b) == of_b and [who for who, _ in revoked if who == "b"] == []
    # Who takes its name while it lives puts it out of the group.
    usurper = member("a")
    fenced = []

    def is_fenced():
        usurper.poll(0.1)
        message = again.poll(0.1)
        if message is not None and message.error() is not None:
            fenced.append(message.error().name())
        return bool(fenced)

    wait_for(is_fenced, 60)
    assert set(fenced) <= {"_FATAL", "FENCED_INSTANCE_ID", "_FENCED"} and places(b) == of_b
    for one in (again, usurper, b):
        one.close()


def test_a_stream_that_rejects_refuses_the_batch_and_names_the_record(node):
    client = producer(node)
    reports = []
    client.produce("strict", '{"id": 1}', on_delivery=lambda error, message: reports.append(error))
    client.flush(60)
    client.produce("strict", '{"id": "x"}', on_delivery=lambda error, message: reports.append(error))
    client.flush(60)
    assert reports[0] is None and reports[1] is not None and reports[1].name() in ("INVALID_RECORD", "_INVALID_RECORD"), reports
    wait_for(lambda: node.sql("SELECT id FROM strict") == [[1]])


def test_what_is_no_row_is_quarantined_with_its_source(node):
    client = producer(node)
    client.produce("clicks", '{"user_id": "x"}')
    client.produce("clicks", click(1))
    client.flush(60)
    wait_for(lambda: view(node) == by_product([1]))
    rows = node.sql("SELECT _reason, _error FROM clicks.quarantine")
    assert len(rows) == 1 and rows[0][0] == "invalid" and "user_id" in rows[0][1], rows
    assert node.get("/v1/ledger")["balanced"] is True


def test_offsets_by_time_the_ends_and_the_metadata_of_a_commit(node):
    from confluent_kafka import TopicPartition
    client = producer(node)
    for i in range(10):
        client.produce("lines", str(i), timestamp=1_000_000 + i * 1000)
        client.flush(60)
    reader = consumer(node, "times", enable_auto_commit=False)
    assert reader.get_watermark_offsets(TopicPartition("lines", 0)) == (0, 10)
    found = reader.offsets_for_times([TopicPartition("lines", 0, 1_000_000 + 3500)])
    assert found[0].offset == 4
    reader.commit(offsets=[TopicPartition("lines", 0, 7, metadata="where I was")], asynchronous=False)
    kept = reader.committed([TopicPartition("lines", 0)])[0]
    assert (kept.offset, kept.metadata) == (7, "where I was")
    reader.close()


def test_admin_sees_topics_groups_and_settings(node):
    from confluent_kafka.admin import AdminClient, ConfigResource
    admin = AdminClient({"bootstrap.servers": node.kafka})
    cluster = admin.describe_cluster().result(30)
    assert len(cluster.nodes) == 1 and cluster.cluster_id
    settings = list(admin.describe_configs([ConfigResource("topic", "clicks")]).values())[0].result(30)
    assert settings["cleanup.policy"].value == "delete" and settings["retention.ms"].value == "-1"
    reader = consumer(node, "seen", enable_auto_commit=False)
    reader.subscribe(["lines"])
    wait_for(lambda: (reader.poll(0.1), reader.assignment())[1])
    listed = {group.group_id: str(group.state) for group in admin.list_consumer_groups().result(30).valid}
    assert "STABLE" in listed["seen"], listed
    described = list(admin.describe_consumer_groups(["seen"]).values())[0].result(30)
    assert len(described.members) == 1 and described.members[0].assignment.topic_partitions[0].topic == "lines"
    reader.close()
    list(admin.delete_consumer_groups(["seen"]).values())[0].result(30)
    assert "seen" not in {group.group_id for group in admin.list_consumer_groups().result(30).valid}


def test_kafka_python_produces_and_consumes(node):
    from kafka import KafkaConsumer, KafkaProducer
    client = KafkaProducer(bootstrap_servers=node.kafka, acks="all")
    for i in range(100):
        client.send("lines", str(i).encode())
    client.flush(60)
    client.close()
    reader = KafkaConsumer("lines", bootstrap_servers=node.kafka, group_id="py", auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    got = []
    for message in reader:
        got.append(int(message.value))
        if len(got) == 100:
            break
    reader.close()
    assert got == list(range(100))


def test_a_waiting_consumer_gets_a_record_when_it_comes(node):
    reader = consumer(node, "waits", fetch_wait_max_ms=10_000)
    reader.subscribe(["lines"])
    wait_for(lambda: (reader.poll(0.1), reader.assignment())[1])
    reader.poll(1)
    node.send("lines", ['{"text": "now"}'])
    begin = time.monotonic()
    assert json.loads(consume(reader, 1)[0].value())["text"] == "now"
    assert time.monotonic() - begin < 5
    reader.close()


def exchange(node, request, size=None):
    """What comes back for raw bytes behind a size; b"" where the connection is closed."""
    host, port = node.kafka.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.settimeout(10)
        try:
            connection.sendall(struct.pack(">i", len(request) if size is None else size) + request)
            return connection.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            return b""


def header(api, version, correlation=7, client=b"test"):
    return struct.pack(">hhih", api, version, correlation, len(client)) + client


def test_requests_that_are_malformed_too_large_or_unknown_end_their_connection_alone(node, seed):
    import random
    choose = random.Random(seed)
    assert exchange(node, b"x" * 10, size=100 << 20) == b""
    assert exchange(node, b"x" * 10, size=-1) == b""
    assert exchange(node, header(999, 0)) == b""
    assert exchange(node, header(3, 99)) == b""
    assert exchange(node, header(3, 1) + b"\x7f\xff\xff\xff") == b""
    # ApiVersions of a version to come: error 35 in the oldest form, with what is served.
    answer = exchange(node, header(18, 77))
    assert struct.unpack(">ih", answer[4:10]) == (7, 35) and len(answer) > 100
    honest, errors = producer(node, message_timeout_ms=10_000), []
    for i in range(10_000):
        api, version = choose.choice([0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 22, 23, 24, 26, 28, 32, 36, 42, 44, 47, 60]), choose.randrange(0, 13)
        request = header(api, version) + choose.randbytes(choose.randrange(0, 60))
        # Whole, cut, or of another length than it says.
        size = choose.choice([len(request), len(request), len(request) + 7, choose.randrange(1 << 31), 0])
        exchange_quickly(node, request, size)
        if i % 100 == 0:
            honest.produce("clicks", click(i), on_delivery=lambda error, message: error and errors.append(error))
            honest.poll(0)
    assert honest.flush(20) == 0 and errors == []
    wait_for(lambda: node.sql("SELECT count(*) FROM clicks") == [[100]])
    assert 'topic "clicks"' in kcat(node, "-L")
    metrics = node.request("GET", "/metrics")[2].decode()
    counted = {line.split()[0]: float(line.split()[1]) for line in metrics.splitlines() if line.startswith("kafka_")}
    assert counted["kafka_malformed_total"] >= 5 and counted["kafka_requests_total"] >= 3 and counted["kafka_connections"] >= 0


def exchange_quickly(node, request, size):
    host, port = node.kafka.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(struct.pack(">i", size) + request)


def test_the_listener_can_be_off_and_a_named_port_that_is_taken_is_an_error(make_node, tmp_path):
    from node import millrace
    node = make_node(SQL, "--kafka", "off")
    node.start()
    assert node.kafka is None
    node.stop()
    other = make_node(SQL)
    other.start()
    project = tmp_path / "taken"
    project.mkdir()
    (project / "project.sql").write_text(SQL)
    done = millrace("run", project, "--http", "127.0.0.1:0", "--kafka", other.kafka)
    assert done.returncode != 0 and other.kafka in done.stderr, done.stderr
    other.stop()


def test_topics_that_clients_make_are_raw_streams(node):
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic
    admin = AdminClient({"bootstrap.servers": node.kafka})
    made = admin.create_topics([NewTopic("my.events-1", 2, 1, config={"retention.ms": "3600000", "cleanup.policy": "delete"})])
    made["my.events-1"].result(30)
    for name, partitions, config, problem in [("my.events-1", 1, {}, "ALREADY_EXISTS"), ("BY_PRODUCT", 1, {}, "view"), ("__mine", 1, {}, "the node's own"), ("a b", 1, {}, "name"),
                                              ("other", 1, {"min.insync.replicas": "2"}, "min.insync.replicas"), ("other", 1, {"retention.ms": "soon"}, "retention.ms")]:
        with pytest.raises(Exception, match=problem):
            admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(30)
    resource = ConfigResource(ConfigResource.Type.TOPIC, "my.events-1")
    settings = lambda: {k: v.value for k, v in admin.describe_configs([resource])[resource].result(30).items()}  # noqa: E731
    assert settings()["retention.ms"] == "3600000"
    resource.add_incremental_config(ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE))
    resource.add_incremental_config(ConfigEntry("retention.bytes", "1000000", incremental_operation=AlterConfigOpType.SET))
    admin.incremental_alter_configs([resource])[resource].result(30)
    resource = ConfigResource(ConfigResource.Type.TOPIC, "my.events-1")
    assert (settings()["retention.ms"], settings()["retention.bytes"]) == ("-1", "1000000")

    # A topic that a producer merely names is made too.
    producer = Producer({"bootstrap.servers": node.kafka, "enable.idempotence": True})
    for topic in ("my.events-1", "made_by_name"):
        for i in range(10):
            producer.produce(topic, f"value {i}".encode(), key=None if i == 3 else f"k{i}".encode(), headers=[("trace", b"\x01\xff"), ("none", None)], timestamp=1714564800000 + i)
        producer.produce(topic, None, key=b"k1")  # a tombstone
    assert producer.flush(30) == 0
    wait_for(lambda: node.sql('SELECT count(*) FROM "my.events-1"') == [[11]] and node.sql("SELECT count(*) FROM made_by_name") == [[11]])
    assert node.sql('SELECT decode(key), decode(value), "timestamp"::VARCHAR, headers[1].key, hex(headers[1].value), headers[2].value IS NULL FROM "my.events-1" WHERE decode(key) = \'k5\'') == [
        ["k5", "value 5", "2024-05-01 12:00:00.005", "trace", "01FF", True]]
    assert node.sql("SELECT count(*) FROM made_by_name WHERE key IS NULL") == [[1]]
    assert node.sql("SELECT decode(key) FROM made_by_name WHERE value IS NULL") == [["k1"]]
    node.sql("CREATE MATERIALIZED VIEW latest AS SELECT decode(key) AS k, count(*) AS n FROM made_by_name GROUP BY 1")
    node.kill()
    node.start()
    assert node.sql("SELECT sum(n)::BIGINT FROM latest") == [[11]]
    consumer = Consumer({"bootstrap.servers": node.kafka, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe(["made_by_name"])
    got = []
    wait_for(lambda: got.extend(m for m in consumer.consume(100, 0.2) if not m.error()) or len(got) == 11)
    assert sorted(m.key() or b"" for m in got)[:3] == [b"", b"k0", b"k1"] and got[0].headers() == [("trace", b"\x01\xff"), ("none", None)]
    consumer.close()
    # Rows have no place there, and what is read is not dropped.
    with pytest.raises(Exception, match="raw records"):
        node.sql("INSERT INTO made_by_name VALUES ('a', 'b', NULL, NULL)")
    admin = AdminClient({"bootstrap.servers": node.kafka})  # the node has another port since its restart
    with pytest.raises(Exception, match="POLICY_VIOLATION"):
        admin.delete_topics(["made_by_name"])["made_by_name"].result(30)
    assert [row for row in node.sql("SELECT name, format FROM millrace.streams ORDER BY name") if row[1] == "raw"] == [["made_by_name", "raw"], ["my.events-1", "raw"]]


def test_records_that_clients_delete_stay_in_views(node):
    from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient
    producer = Producer({"bootstrap.servers": node.kafka})
    for i in range(100):
        producer.produce("lines", json.dumps({"text": f"t{i}"}))
    assert producer.flush(30) == 0
    node.sql("CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM lines")
    admin = AdminClient({"bootstrap.servers": node.kafka})
    deleted = admin.delete_records([TopicPartition("lines", 0, 60)])
    assert [future.result(30).low_watermark for future in deleted.values()] == [60]
    with pytest.raises(Exception) as beyond:
        next(iter(admin.delete_records([TopicPartition("lines", 0, 101)]).values())).result(30)
    assert beyond.value.args[0].code() == KafkaError.OFFSET_OUT_OF_RANGE
    assert node.sql("SELECT n FROM n") == [[100]] and node.sql("SELECT count(*), min(text) FROM lines") == [[40, "t60"]]
    node.kill()
    node.start()
    assert node.sql("SELECT n FROM n") == [[100]] and node.sql("SELECT count(*) FROM lines") == [[40]]
    consumer = Consumer({"bootstrap.servers": node.kafka, "group.id": "g", "auto.offset.reset": "earliest"})
    assert consumer.get_watermark_offsets(TopicPartition("lines", 0), timeout=30) == (60, 100)
    consumer.close()
    # What is gone cannot be built from.
    with pytest.raises(Exception, match="first records are gone"):
        node.sql("CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM lines")
    admin = AdminClient({"bootstrap.servers": node.kafka})
    assert next(iter(admin.delete_records([TopicPartition("lines", 0, -1)]).values())).result(30).low_watermark == 100
    assert node.get("/v1/ledger")["balanced"]


def test_the_topics_are_listed_to_an_admin_client(node):
    from confluent_kafka.admin import AdminClient
    admin = AdminClient({"bootstrap.servers": node.kafka})
    assert {"clicks", "strict", "lines"} <= set(admin.list_topics(timeout=10).topics)
    assert len(admin.list_topics("clicks", timeout=10).topics["clicks"].partitions) == 3
