"""A topic that Kafka clients made becomes a stream with columns: CREATE STREAM over its name, in SQL or in the project."""
import json
import random
import threading

import pytest

from node import Refused
from test_kafka import consume, consumer, producer, wait_for

COLUMNS = "CREATE STREAM visits (id BIGINT NOT NULL, page VARCHAR) INTO 2 PARTITIONS"


def send(node, begin, end, topic="visits"):
    client = producer(node)
    for i in range(begin, end):
        client.produce(topic, key=str(i % 10), value=json.dumps({"id": i, "page": f"p{i % 5}"}))
    assert client.flush(30) == 0


def ids(rows):
    return [[len(rows), sum(rows)]]


def counted(node):
    return node.sql("SELECT count(*), coalesce(sum(id), 0)::BIGINT FROM visits")


@pytest.fixture
def node(make_node):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    yield node
    node.stop()


def test_its_records_are_read_again_as_rows_and_clients_notice_nothing(node):
    node.sql("CREATE STREAM visits INTO 3 PARTITIONS WITH (format = 'raw')")
    send(node, 0, 1000)
    client = producer(node)
    client.produce("visits", value="no row")
    client.flush(30)
    reader = consumer(node, "tills", enable_auto_commit=False)
    reader.subscribe(["visits"])
    assert len(consume(reader, 1001)) == 1001
    reader.commit(asynchronous=False)
    wait_for(lambda: node.sql("SELECT count(*) FROM visits") == [[1001]])
    node.sql(COLUMNS)
    node.sql("CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM visits GROUP BY page")
    wait_for(lambda: counted(node) == ids(range(1000)))
    wait_for(lambda: node.sql("SELECT page, n FROM pages ORDER BY page") == [[f"p{i}", 200] for i in range(5)])
    assert node.sql("SELECT count(*) FROM visits.quarantine") == [[1]]
    assert node.sql("SELECT partitions FROM millrace.streams WHERE name = 'visits'") == [[3]], "it keeps those that it had"
    # The same consumer and producers go on.
    send(node, 1000, 1500)
    assert sorted(json.loads(message.value())["id"] for message in consume(reader, 500)) == list(range(1000, 1500))
    reader.close()
    node.send("visits", [json.dumps({"id": 1500, "page": "p0"})])
    wait_for(lambda: counted(node) == ids(range(1501)))
    node.kill()
    node.start()
    wait_for(lambda: counted(node) == ids(range(1501)))
    assert node.difference("pages") == 0
    assert node.get("/v1/ledger")["balanced"] is True
    node.stop()
    node.start()
    assert counted(node) == ids(range(1501)) and node.get("/v1/ledger")["balanced"] is True


def test_what_reads_its_raw_records_goes_first(node):
    node.sql("CREATE STREAM visits WITH (format = 'raw')")
    node.sql("CREATE MATERIALIZED VIEW sizes AS SELECT octet_length(value) AS bytes FROM visits")
    send(node, 0, 10)
    with pytest.raises(Refused, match="is read by view .*sizes.* as raw records"):
        node.sql(COLUMNS)
    wait_for(lambda: node.sql("SELECT count(*) FROM sizes") == [[10]])
    node.sql("DROP MATERIALIZED VIEW sizes")
    node.sql(COLUMNS)
    wait_for(lambda: counted(node) == ids(range(10)))
    with pytest.raises(Refused, match="exists already"):
        node.sql(COLUMNS)


def test_deleted_records_stay_deleted(node):
    node.sql("CREATE STREAM visits WITH (format = 'raw')")
    send(node, 0, 100)
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient
    admin = AdminClient({"bootstrap.servers": node.kafka})
    wait_for(lambda: node.sql("SELECT count(*) FROM visits") == [[100]])
    for future in admin.delete_records([TopicPartition("visits", 0, 40)]).values():
        future.result(30)
    node.sql("CREATE STREAM visits (id BIGINT NOT NULL, page VARCHAR)")
    wait_for(lambda: counted(node) == ids(range(40, 100)))
    node.kill()
    node.start()
    assert counted(node) == ids(range(40, 100))


def test_a_project_gives_columns_to_what_clients_made(make_node, tmp_path):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    send(node, 0, 200)
    wait_for(lambda: node.sql("SELECT count(*) FROM visits") == [[200]])
    node.stop()
    (tmp_path / "project0" / "project.sql").write_text(COLUMNS + ";\nCREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM visits GROUP BY page;")
    for _ in range(2):
        node.start()
        wait_for(lambda: counted(node) == ids(range(200)))
        wait_for(lambda: node.sql("SELECT sum(n)::BIGINT FROM pages") == [[200]])
        assert node.get("/v1/ledger")["balanced"] is True
        node.stop()


def test_under_load_and_kills(node, seed):
    choose = random.Random(seed)
    for number in range(4):
        topic = f"visits{number}"
        node.sql(f"CREATE STREAM {topic} INTO 3 PARTITIONS WITH (format = 'raw')")
        acknowledged, failure = [0], []

        def send_until_killed():
            try:
                client = producer(node, enable_idempotence=True)
                while True:
                    for i in range(acknowledged[0], acknowledged[0] + 50):
                        client.produce(topic, key=str(i % 10), value=json.dumps({"id": i, "page": "p"}))
                    if client.flush(3) != 0:
                        return
                    acknowledged[0] += 50
            except BaseException as error:  # shown by the main thread
                failure.append(error)

        sender = threading.Thread(target=send_until_killed)
        sender.start()
        wait_for(lambda: acknowledged[0] > 200)
        killer = threading.Timer(choose.uniform(0, 0.05), node.kill)
        killer.start()
        create = f"CREATE STREAM {topic} (id BIGINT NOT NULL, page VARCHAR)"
        try:
            node.sql(create)
        except OSError:
            pass
        killer.join()
        sender.join()
        assert not failure, failure
        node.start()
        if node.sql(f"SELECT count(*) FROM millrace.columns WHERE relation = '{topic}' AND name = 'id'") == [[0]]:
            node.sql(create)  # it had not happened
        node.sql(f"CREATE MATERIALIZED VIEW of_{topic} AS SELECT count(*) AS n, sum(id)::BIGINT AS ids FROM {topic}")
        # Everything that was acknowledged is there once; the last block may be there in part.
        wait_for(lambda: node.sql(f"SELECT count(*) >= {acknowledged[0]}, count(*) = count(DISTINCT id) FROM {topic}") == [[True, True]])
        wait_for(lambda: node.difference(f"of_{topic}") == 0)
        wait_for(lambda: node.get("/v1/ledger")["balanced"] is True)
