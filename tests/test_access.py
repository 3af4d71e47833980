"""Users, tokens and scopes under real clients: curl, confluent-kafka and kcat's librdkafka, kafka-python, and the command line."""
import json
import os
import re
import signal
import subprocess
import time

import psycopg
import pytest
from confluent_kafka import Producer

from node import BINARY, ROOT, SHOP, Refused, millrace
from pg_node import dsn
from test_kafka import SQL as KAFKA_SQL
from test_kafka_java import java

SQL = """
CREATE STREAM clicks (user_id BIGINT NOT NULL, product VARCHAR NOT NULL);
CREATE STREAM orders (id BIGINT NOT NULL);
CREATE MATERIALIZED VIEW by_product AS SELECT product, count(*) AS clicks FROM clicks GROUP BY product;
CREATE ENDPOINT products ON GET '/products' AS SELECT product, clicks FROM by_product;
"""
CLICK = b'{"user_id": 1, "product": "tea"}\n'
PASSWORD = "correct horse battery"


@pytest.fixture
def node(make_node):
    return make_node(SQL)


def access(node, *arguments, **kwargs):
    done = millrace(*arguments, "--data", node.data, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def token(node, *scopes, **options):
    flags = [word for scope in scopes for word in ("--scope", scope)] + [word for name, value in options.items() for word in (f"--{name}", value)]
    return access(node, "token", "create", *flags)


def user(node, name, *scopes):
    return access(node, "user", "create", name, *[word for scope in scopes for word in ("--scope", scope)], env={"MILLRACE_PASSWORD": PASSWORD})


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def status(node, method, path, text=None, body=None, content_type="application/x-ndjson"):
    headers = {**(bearer(text) if text else {}), **({"Content-Type": content_type} if body else {})}
    try:
        return node.request(method, path, body, headers)[0]
    except Refused as refused:
        return refused.status


def within_seconds(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_token_opens_what_its_scopes_say_until_it_is_revoked(node):
    node.start()
    assert status(node, "GET", "/metrics") == 200  # nobody exists: it is open
    assert node.sql("SELECT current_user, session_user") == [["millrace"] * 2]
    ingest = token(node, "ingest:clicks", note="the shop")
    within_seconds(lambda: status(node, "GET", "/metrics") == 401)
    assert status(node, "POST", "/v1/streams/clicks", ingest, CLICK) == 200
    assert status(node, "POST", "/v1/streams/orders", ingest, b'{"id": 1}\n') == 403
    assert status(node, "POST", "/v1/sql", ingest, b"SELECT 1", "application/sql") == 403
    reader = token(node, "read:products", "sql")
    within_seconds(lambda: status(node, "GET", "/products", reader) == 200)
    assert status(node, "POST", "/v1/sql", reader, b"FROM by_product", "application/sql") == 200
    who = b"SELECT current_user, session_user, user, current_role, count(*) FROM by_product WHERE product <> current_user"
    other = token(node, "sql")
    for signed_in in (reader, other, reader):  # the plan of a statement is kept, and is nobody's
        asked = lambda: json.loads(node.request("POST", "/v1/sql", who, {**bearer(signed_in), "Content-Type": "application/sql"})[2])["rows"]
        within_seconds(lambda: status(node, "POST", "/v1/sql", signed_in, b"SELECT 1", "application/sql") == 200)
        assert asked() == [[signed_in.split("_")[1]] * 4 + [1]]
    assert status(node, "POST", "/v1/sql", reader, b"DROP VIEW by_product", "application/sql") == 403
    assert status(node, "POST", "/v1/sql", reader, b"SELECT 1; CREATE VIEW v AS SELECT 1", "application/sql") == 403
    listed = access(node, "token", "list")
    ingest_id = ingest.split("_")[1]
    assert ingest_id in listed and "the shop" in listed and ingest.split("_")[2] not in listed
    access(node, "token", "revoke", ingest_id)
    within_seconds(lambda: status(node, "POST", "/v1/streams/clicks", ingest, CLICK) == 401)
    access(node, "token", "revoke", reader.split("_")[1])
    within_seconds(lambda: status(node, "GET", "/products", reader) == 401)
    assert status(node, "GET", "/metrics") == 401  # the last one is gone: it does not open again
    assert status(node, "GET", "/healthz") == 200
    node.stop()


def test_a_token_makes_no_more_requests_than_its_rate(make_node):
    node = make_node(SQL)
    node.start()
    fast, slow = token(node, "sql", "metrics"), token(node, "sql", "ingest:*", rate="4/m")
    within_seconds(lambda: status(node, "GET", "/metrics") == 401)

    def select():
        return node.request("POST", "/v1/sql", b"SELECT 1", {**bearer(slow), "Content-Type": "application/sql"})

    within_seconds(lambda: status(node, "POST", "/v1/sql", slow, b"SELECT 1", "application/sql") == 200)
    assert all(select()[0] == 200 for _ in range(3))
    with pytest.raises(Refused) as refused:
        select()
    assert refused.value.status == 429 and "may make 4/m requests" in str(refused.value)
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 15
    # It is one account over all listeners.
    with psycopg.connect(dsn(node, user="token", password=slow), autocommit=True) as connection:
        with pytest.raises(psycopg.Error) as over:
            connection.execute("SELECT 1")
        assert over.value.sqlstate == "53400" and "may make 4/m requests" in str(over.value)
        connection.execute("SET application_name = 'x'")  # free
    assert status(node, "POST", "/v1/sql", fast, b"SELECT 1", "application/sql") == 200  # others are not concerned
    assert re.search(r'auth_rate_limited_total\{token="%s"\} 2' % slow.split("_")[1], node.request("GET", "/metrics", None, bearer(fast))[2].decode())
    assert "4/m" in access(node, "token", "list")
    node.stop()


def test_a_kafka_client_over_its_rate_is_told_to_be_still_and_loses_nothing(make_node):
    node = make_node(SQL)
    node.start()
    admin, slow = token(node, "admin"), token(node, "ingest:clicks", rate="1/s")
    within_seconds(lambda: status(node, "GET", "/metrics") == 401)
    within_seconds(lambda: status(node, "POST", "/v1/streams/orders", slow, b'{"id": 1}\n') == 403)
    producer = Producer({"bootstrap.servers": node.kafka, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": slow.split("_")[1],
                         "sasl.password": slow, "linger.ms": 0})
    begin = time.monotonic()
    for _ in range(6):
        producer.produce("clicks", CLICK)
        producer.flush()
    assert time.monotonic() - begin > 3  # one at once; the last one is answered before its wait
    metrics = node.request("GET", "/metrics", None, bearer(admin))[2].decode()
    assert int(re.search(r"^kafka_produce_throttled_total (\d+)", metrics, re.M).group(1)) >= 1
    count = node.request("POST", "/v1/sql", b"SELECT count(*) FROM clicks", {**bearer(admin), "Content-Type": "application/sql"})[2]
    assert json.loads(count)["rows"] == [[6]]
    node.stop()


def test_rows_of_a_table_are_for_those_who_may_consume_or_ingest_it(node):
    node.start()
    node.sql("CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR)")
    node.sql("CREATE TABLE secrets (id INTEGER PRIMARY KEY)")
    writer, reader = token(node, "ingest:people"), token(node, "consume:people")
    within_seconds(lambda: status(node, "GET", "/v1/tables/people/1") == 401)
    within_seconds(lambda: status(node, "PUT", "/v1/tables/people/1", writer, b'{"name": "Ann"}') == 201)
    within_seconds(lambda: status(node, "GET", "/v1/tables/people/1", reader) == 200)
    assert status(node, "GET", "/v1/tables/people/1", writer) == 403
    assert status(node, "PUT", "/v1/tables/people/1", reader, b"{}") == 403 and status(node, "DELETE", "/v1/tables/people/1", reader) == 403
    assert status(node, "PUT", "/v1/tables/secrets/1", writer, b"{}") == 403 and status(node, "GET", "/v1/tables/secrets/1", reader) == 403
    assert status(node, "DELETE", "/v1/tables/people/1", writer) == 204
    # Its paths are for those who signed in, the empty page for all.
    assert status(node, "GET", "/openapi.json") == 401 and status(node, "GET", "/openapi.json", reader) == 200 and status(node, "GET", "/docs") == 200
    node.stop()


def test_tokens_outlive_a_kill_and_no_secret_is_on_disk(node):
    admin = token(node, "admin")
    user(node, "alice", "admin")
    node.start()
    assert status(node, "POST", "/v1/streams/clicks", admin, CLICK) == 200
    node.kill()
    node.start()
    assert status(node, "GET", "/v1/ledger", admin) == 200
    node.stop()
    assert admin.split("_")[1] in access(node, "token", "list")
    assert "never" not in access(node, "token", "list").splitlines()[1].split("  ")[3:]  # when it was last used is kept
    secrets = [admin.split("_")[2].encode(), PASSWORD.encode()]
    for folder, _, names in os.walk(node.data):
        for name in names:
            content = open(os.path.join(folder, name), "rb").read()
            assert not any(secret in content for secret in secrets), name
    assert not any(secret.decode() in line for secret in secrets for line in node.stderr)


def test_commands_take_the_token_from_the_environment(node):
    admin = token(node, "admin")
    node.start()
    refused = node.cli("sql", "SELECT 42")
    assert refused.returncode == 1 and "needs a token" in refused.stderr and "millrace token create" in refused.stderr
    assert "42" in node.cli("sql", "SELECT 42", env={"MILLRACE_TOKEN": admin}).stdout
    wrong = node.cli("sql", "SELECT 42", env={"MILLRACE_TOKEN": admin[:-1] + ("0" if admin[-1] != "0" else "1")})
    assert wrong.returncode == 1 and admin[:-1] not in wrong.stderr
    loaded = node.cli("load", "clicks", "-", "--format", "ndjson", "--id", "one", stdin=CLICK, env={"MILLRACE_TOKEN": admin})
    assert loaded.returncode == 0, loaded.stderr
    plan = millrace("plan", node.project, "--data", node.data, env={"MILLRACE_TOKEN": admin})
    assert plan.returncode == 0, plan.stderr
    node.stop()


def test_a_listener_that_others_reach_needs_somebody_who_may(node):
    def run(*flags):
        process = subprocess.Popen([BINARY, "run", node.project, "--data", node.data, "--kafka", "off", *flags], stderr=subprocess.PIPE, text=True)
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("ready"):
                process.send_signal(signal.SIGTERM)
        return process.wait(60), "".join(lines)

    code, text = run("--http", "0.0.0.0:0")
    assert code == 1 and "there is no user and no token" in text and "millrace user create" in text
    code, text = run("--http", "127.0.0.1:0", "--auth", "on")
    assert code == 1 and "there is no user and no token" in text
    code, text = run("--http", "0.0.0.0:0", "--auth", "off")
    assert code == 0 and "nobody has to sign in" in text
    token(node, "admin")
    code, text = run("--http", "0.0.0.0:0")
    assert code == 0 and "in clear" in text
    code, text = run("--auth", "perhaps")
    assert code == 1 and "it is auto, on or off" in text


def test_the_command_line_says_what_is_wrong(node):
    def refused(*arguments, **kwargs):
        done = millrace(*arguments, "--data", node.data, **kwargs)
        assert done.returncode != 0
        return done.stderr

    assert "there is no scope" in refused("token", "create", "--scope", "write:x")
    assert "--scope" in refused("token", "create")
    assert "needs a command" in millrace("token").stderr
    unknown = millrace("token", "creat").stderr
    assert 'unknown argument "creat"' in unknown and '"create"' in unknown
    unknown = millrace("token", "create", "--scope", "sql", "--expire", "1d").stderr
    assert "--expires" in unknown and "millrace token create --help" in unknown
    assert "--rate" in refused("token", "create", "--scope", "sql", "--rate", "fast") and "100/s" in refused("user", "create", "a", "--scope", "sql", "--rate", "0/s")
    assert "is no time" in refused("token", "create", "--scope", "sql", "--expires", "soon")
    assert "there is no token" in refused("token", "revoke", "000000000000")
    assert "there is no user" in refused("user", "drop", "alice")
    assert "printable ASCII" in refused("user", "create", "alice", "--scope", "sql", stdin="short\n")
    assert "standard input" in refused("user", "create", "alice", "--scope", "sql")
    access(node, "user", "create", "alice", "--scope", "sql", stdin=PASSWORD + "\n")
    assert "--replace" in refused("user", "create", "alice", "--scope", "sql", stdin=PASSWORD + "\n")
    assert "alice" in access(node, "user", "list")
    access(node, "user", "drop", "alice")
    assert "alice" not in access(node, "user", "list")
    with open(os.path.join(node.data, "access", "principals"), "a") as file:
        file.write("x")
    assert "checksum" in refused("user", "list")
    assert "checksum" in refused("token", "create", "--scope", "sql")


MECHANISMS = ["PLAIN", "SCRAM-SHA-256"]


def librdkafka(node, mechanism, name, password, **more):
    return {"bootstrap.servers": node.kafka, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
            "sasl.username": name, "sasl.password": password, "socket.timeout.ms": 5000, **more}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_confluent_kafka_signs_in_produces_and_consumes(node, mechanism):
    from confluent_kafka import Consumer, Producer

    user(node, "etl", "ingest:clicks", "consume:clicks", "sql")
    node.start()
    errors = []
    producer = Producer(librdkafka(node, mechanism, "etl", PASSWORD))
    for _ in range(100):
        producer.produce("clicks", CLICK, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0 and errors == [None] * 100
    consumer = Consumer(librdkafka(node, mechanism, "etl", PASSWORD, **{"group.id": "g", "auto.offset.reset": "earliest"}))
    consumer.subscribe(["clicks"])
    got = 0
    deadline = time.monotonic() + 60
    while got < 100:
        assert time.monotonic() < deadline
        message = consumer.poll(1)
        got += message is not None and message.error() is None
    consumer.commit(asynchronous=False)
    consumer.close()
    node.stop()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_confluent_kafka_is_told_of_a_wrong_password(node, mechanism):
    from confluent_kafka import KafkaError, Producer

    user(node, "etl", "ingest:clicks")
    node.start()
    errors = []
    producer = Producer(librdkafka(node, mechanism, "etl", "not the right one", error_cb=errors.append))
    within_seconds(lambda: producer.poll(0.1) is not None and any(error.code() == KafkaError._AUTHENTICATION for error in errors))
    plain = []
    stranger = Producer({"bootstrap.servers": node.kafka, "error_cb": plain.append})
    within_seconds(lambda: stranger.poll(0.1) is not None and plain)
    node.stop()
    assert any("has not signed in" in line for line in node.stderr)
    assert not any("not the right one" in line for line in node.stderr)


def test_confluent_kafka_is_told_which_topics_it_may_not(node):
    from confluent_kafka import KafkaError, Producer
    from confluent_kafka.admin import AdminClient, NewTopic
    from kafka import KafkaConsumer

    text = token(node, "ingest:clicks")
    node.start()
    options = librdkafka(node, "PLAIN", text.split("_")[1], text)
    errors = []
    producer = Producer(options)
    producer.produce("clicks", CLICK, on_delivery=lambda error, _: errors.append(error))
    producer.produce("orders", b'{"id": 1}', on_delivery=lambda error, _: errors.append(error and error.code()))
    producer.flush(30)
    assert set(errors) == {None, KafkaError.TOPIC_AUTHORIZATION_FAILED}
    consumer = KafkaConsumer(bootstrap_servers=node.kafka, security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
                             sasl_plain_username=text.split("_")[1], sasl_plain_password=text)
    assert consumer.topics() == {"clicks"}
    consumer.close()
    admin = AdminClient(options)
    future = admin.create_topics([NewTopic("new", 1, 1)])["new"]
    with pytest.raises(Exception) as refused:
        future.result(30)
    assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    node.stop()


def test_a_revoked_token_ends_a_living_producer(node):
    from confluent_kafka import KafkaError, Producer

    admin = token(node, "admin")
    text = token(node, "ingest:clicks")
    node.start()
    errors, delivered = [], []
    producer = Producer(librdkafka(node, "PLAIN", text.split("_")[1], text, error_cb=errors.append))

    def send():
        producer.produce("clicks", CLICK, on_delivery=lambda error, _: delivered.append(error))
        producer.poll(0.1)

    within_seconds(lambda: send() or None in delivered)
    access(node, "token", "revoke", text.split("_")[1])
    within_seconds(lambda: send() or any(error.code() == KafkaError._AUTHENTICATION for error in errors))
    time.sleep(1)
    before = len([error for error in delivered if error is None])
    send()
    assert len([error for error in delivered if error is None]) == before
    query = b"SELECT count(*) FROM clicks"
    within_seconds(lambda: json.loads(node.request("POST", "/v1/sql", query, {"Content-Type": "application/sql", **bearer(admin)})[2])["rows"] == [[before]])
    node.stop()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_kafka_python_signs_in(node, mechanism):
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.errors import KafkaError

    user(node, "etl", "ingest:clicks", "consume:clicks")
    node.start()
    options = {"bootstrap_servers": node.kafka, "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism, "sasl_plain_username": "etl"}
    producer = KafkaProducer(**options, sasl_plain_password=PASSWORD)
    for _ in range(10):
        producer.send("clicks", CLICK).get(30)
    consumer = KafkaConsumer("clicks", **options, sasl_plain_password=PASSWORD, auto_offset_reset="earliest", consumer_timeout_ms=20000)
    assert [next(consumer).value for _ in range(10)] == [CLICK] * 10
    consumer.close()
    producer.close()
    with pytest.raises(KafkaError):
        KafkaProducer(**options, sasl_plain_password="wrong password", bootstrap_timeout_ms=2000)
    node.stop()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_java_client_signs_in(make_node, mechanism):
    node = make_node(KAFKA_SQL)
    user(node, "etl", "ingest:*", "consume:*")
    node.start()
    module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
    jaas = f'org.apache.kafka.common.security.{module} required username="etl" password="{PASSWORD}";'
    java("4.1.1", node, "round-trip", env={"KAFKA_MECHANISM": mechanism, "KAFKA_JAAS": jaas})
    node.stop()


def test_the_commands_of_the_security_manual(make_node):
    node = make_node(SHOP)
    node.start()
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "security.md").read_text(), re.S)
    blocks = [block for block in blocks if "certificate.pem" not in block]  # those are test_tls.py's
    assert len(blocks) == 3
    environment = {**os.environ, "MILLRACE_URL": node.url, "MILLRACE_DATA": node.data, "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}
    for block in blocks:
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", block.replace("curl ", "curl -S --fail-with-body ")], cwd=ROOT, capture_output=True,
                              text=True, env=environment, timeout=120)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
    node.stop()
