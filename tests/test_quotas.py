"""Quotas of the Kafka listener under real clients: librdkafka, which heeds throttle_time_ms and reports it, kafka-python and the Java client."""
import threading
import time

from test_access import PASSWORD, user
from test_kafka_java import java

SQL = """
CREATE STREAM lines (text VARCHAR);
CREATE STREAM others (text VARCHAR);
CREATE STREAM clicks (user_id BIGINT NOT NULL, product VARCHAR NOT NULL, price DECIMAL(10,2)) PARTITION BY (user_id) INTO 3 PARTITIONS;
"""
LINE = b'{"text": "' + b"x" * 9_980 + b'"}'
QUOTA = 200_000


def produce(node, count, topic="lines", **options):
    """Seconds that it took, and the longest throttle that was reported, in seconds."""
    from confluent_kafka import Producer

    throttles, errors = [0], []
    producer = Producer({"bootstrap.servers": node.kafka, "linger.ms": 1, "batch.size": 50_000, "throttle_cb": lambda event: throttles.append(event.throttle_time),
                         **options})
    begin = time.monotonic()
    for _ in range(count):
        producer.produce(topic, LINE, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(60) == 0 and errors == [None] * count
    taken = time.monotonic() - begin
    producer.poll(0)
    return taken, max(throttles)


def two_at_once(node, meanwhile=lambda: None, **options):
    """Seconds that each of two producers took for half of what the quota gives in five; `meanwhile` runs while they are at it."""
    times = []
    threads = [threading.Thread(target=lambda i=i: times.append(produce(node, 50, **options, **{"client.id": f"c{i}"})[0])) for i in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    meanwhile()
    for thread in threads:
        thread.join()
    return times


def consume(node, count, topic="lines", **options):
    """Seconds that it took, and the longest throttle that was reported, in seconds."""
    from confluent_kafka import Consumer

    throttles = [0]
    consumer = Consumer({"bootstrap.servers": node.kafka, "group.id": "g", "auto.offset.reset": "earliest", "throttle_cb": lambda event: throttles.append(event.throttle_time),
                         **options})
    consumer.subscribe([topic])
    begin = None
    got = 0
    deadline = time.monotonic() + 60
    while got < count:
        assert time.monotonic() < deadline
        messages = [message for message in consumer.consume(10, 1) if message.error() is None]
        if messages and begin is None:
            begin = time.monotonic()
        got += len(messages)
    consumer.close()
    return time.monotonic() - begin, max(throttles)


def test_a_producer_over_its_quota_is_slowed_and_others_are_not(make_node):
    node = make_node(SQL, "--kafka-client-produce-quota", str(QUOTA))
    node.start()
    slow = []
    thread = threading.Thread(target=lambda: slow.append(produce(node, 100, **{"client.id": "slow"})))
    thread.start()
    time.sleep(0.5)
    taken, throttle = produce(node, 15, "others", **{"client.id": "modest"})
    assert taken < 2 and throttle == 0
    thread.join()
    taken, throttle = slow[0]
    # 1 MB at 200 kB/s; a second's worth is free, and the last request is answered at once.
    assert 2.5 < taken < 8, slow
    assert throttle > 0
    assert node.metric("kafka_produce_throttled_total") > 0
    assert node.metric("kafka_fetch_throttled_total") == 0
    node.stop()


def test_users_have_one_quota_over_all_their_connections(make_node):
    node = make_node(SQL, "--kafka-client-produce-quota", str(QUOTA))
    user(node, "etl", "ingest:*")
    node.start()
    options = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "etl", "sasl.password": PASSWORD}
    times = two_at_once(node, **options)
    assert 2 < max(times) < 8, times
    node.stop()


def test_a_stream_has_a_quota_for_all_its_clients_together(make_node):
    node = make_node(SQL, "--kafka-stream-produce-quota", str(QUOTA))
    node.start()
    beside = []
    times = two_at_once(node, lambda: beside.append(produce(node, 15, "others", **{"client.id": "c9"})[0]))
    assert 2 < max(times) < 8, times
    assert beside[0] < 2
    node.stop()


def test_a_consumer_over_its_quota_is_slowed_and_loses_nothing(make_node):
    node = make_node(SQL, "--kafka-client-fetch-quota", str(QUOTA))
    node.start()
    produce(node, 100)
    taken, throttle = consume(node, 100, **{"client.id": "reader"})
    assert 2.5 < taken < 9, taken
    assert throttle > 0
    assert node.metric("kafka_fetch_throttled_milliseconds_total") > 1000
    node.stop()


def test_other_clients_come_through(make_node):
    from kafka import KafkaConsumer, KafkaProducer

    node = make_node(SQL, "--kafka-client-produce-quota", "300000", "--kafka-client-fetch-quota", "300000")
    node.start()
    producer = KafkaProducer(bootstrap_servers=node.kafka, client_id="python", linger_ms=1)
    begin = time.monotonic()
    for future in [producer.send("lines", LINE) for _ in range(90)]:
        future.get(60)
    assert 1 < time.monotonic() - begin < 8
    producer.close()
    consumer = KafkaConsumer("lines", bootstrap_servers=node.kafka, client_id="reader", auto_offset_reset="earliest", consumer_timeout_ms=20000)
    assert [next(consumer).value for _ in range(90)] == [LINE] * 90
    consumer.close()
    java("4.1.1", node, "round-trip")
    assert node.metric("kafka_produce_throttled_total") > 0 and node.metric("kafka_fetch_throttled_total") > 0
    node.stop()
