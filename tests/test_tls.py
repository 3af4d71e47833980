"""TLS on both listeners under real clients: curl, Python's ssl, librdkafka (confluent-kafka, kcat), kafka-python, Java, and the command line."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from node import BINARY, ROOT, SHOP, millrace
from test_access import MECHANISMS, PASSWORD, token, user, within_seconds
from test_kafka import SQL as KAFKA_SQL
from test_kafka_java import VERSIONS, java

SQL = """
CREATE STREAM clicks (user_id BIGINT NOT NULL, product VARCHAR NOT NULL);
CREATE MATERIALIZED VIEW by_product AS SELECT product, count(*) AS clicks FROM clicks GROUP BY product;
"""
CLICK = b'{"user_id": 1, "product": "tea"}\n'
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]


class Authority:
    """A root that clients know, an authority below it that they do not, and a node's certificate by that one."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.root = folder / "root.pem"
        self.certificate, self.key = folder / "node.pem", folder / "node.key"
        self.openssl("req", "-x509", *EC, "-subj", "/CN=root", "-days", "30", "-keyout", "root.key", "-out", "root.pem")
        self.sign("middle", "root", "basicConstraints=critical,CA:true")
        self.renew()

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def sign(self, name, by, extension, days=30):
        self.openssl("req", *EC, "-subj", f"/CN={name}", "-keyout", f"{name}.key.new", "-out", f"{name}.csr")
        (self.folder / "extension").write_text(extension)
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", str(days),
                     "-extfile", "extension", "-out", f"{name}.pem.new")
        os.replace(self.folder / f"{name}.key.new", self.folder / f"{name}.key")
        os.replace(self.folder / f"{name}.pem.new", self.folder / f"{name}.pem")

    def renew(self):
        """Another certificate and key, with the chain, in place of those that are there."""
        self.sign("leaf", "middle", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        chain = self.folder / "chain.new"
        chain.write_text((self.folder / "leaf.pem").read_text() + (self.folder / "middle.pem").read_text())
        shutil.copy(self.folder / "leaf.key", self.folder / "key.new")
        os.replace(chain, self.certificate)
        os.replace(self.folder / "key.new", self.key)

    @property
    def flags(self):
        return "--tls-certificate", str(self.certificate), "--tls-key", str(self.key)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "pki")


@pytest.fixture
def make_tls_node(make_node, authority):
    def make(sql=SQL, *flags):
        node = make_node(sql, *authority.flags, *flags)
        node.tls = ssl.create_default_context(cafile=authority.root)
        return node

    return make


def port_of(address):
    return int(address.rsplit(":", 1)[1])


def connect(node, **options):
    """A TLS connection to the HTTP listener."""
    plain = socket.create_connection(("127.0.0.1", port_of(node.url)), timeout=60)
    return node.tls.wrap_socket(plain, server_hostname="localhost", **options)


def serial(node, address):
    """The serial number of the certificate that is shown there."""
    with socket.create_connection(("127.0.0.1", port_of(address)), timeout=60) as plain, node.tls.wrap_socket(plain, server_hostname="localhost") as secure:
        return secure.getpeercert()["serialNumber"]


def curl(*arguments):
    return subprocess.run(["curl", "-sS", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_curl_asks_by_https_and_plain_text_is_told_so(make_tls_node, authority):
    node = make_tls_node()
    node.start()
    trust = ["--cacert", authority.root]
    for version in (["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"], ["--http1.1"], []):
        assert curl(*trust, *version, node.url + "/healthz").returncode == 0
    assert curl(*trust, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", node.url + "/healthz").returncode == 35
    assert curl(node.url + "/healthz").returncode == 60  # who is that?
    assert curl(*trust, "--resolve", f"elsewhere:{port_of(node.url)}:127.0.0.1", f"https://elsewhere:{port_of(node.url)}/healthz").returncode == 60
    plain = curl("-w", "%{http_code}", node.url.replace("https", "http") + "/healthz")
    assert plain.stdout.endswith("400") and "https://" in plain.stdout
    assert node.metric("http_tls_handshakes_total") >= 5
    assert node.metric("http_tls_plain_text_total") == 1
    assert node.metric("http_tls_handshake_failures_total") >= 2
    assert node.metric("tls_certificate_expires_seconds") > time.time()
    node.stop()


def test_large_bodies_and_answers_come_through(make_tls_node, tmp_path, authority):
    node = make_tls_node()
    node.start()
    rows = tmp_path / "rows.ndjson"
    rows.write_bytes(CLICK * 300_000)
    for more in ([], ["-H", "Transfer-Encoding: chunked"]):
        done = curl("--cacert", authority.root, "-H", "Content-Type: application/x-ndjson", *more, "-T", rows, "-X", "POST", f"{node.url}/v1/streams/clicks")
        assert json.loads(done.stdout)["accepted"] == 300_000, done.stderr
    answer = node.request("POST", "/v1/sql", b"SELECT i, repeat('x', 100) FROM range(300000) t(i)", {"Content-Type": "application/sql", "Accept": "text/csv"})[2]
    assert answer.count(b"\n") == 300_001
    within_seconds(lambda: node.sql("SELECT clicks FROM by_product") == [[600_000]])
    node.stop()


def test_pipelined_requests_and_a_client_that_reads_slowly(make_tls_node):
    node = make_tls_node()
    node.start()
    with connect(node) as secure:
        secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 500 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b""
        while piece := secure.recv(1000):
            text += piece
        assert text.count(b"HTTP/1.1 200 OK") == 501
    statement = b"SELECT repeat('x', 1000) FROM range(30000)"
    with connect(node, suppress_ragged_eofs=False) as secure:  # an end without close_notify is an error
        secure.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\nContent-Type: application/sql\r\nConnection: close\r\n"
                       b"Content-Length: %d\r\n\r\n%s" % (len(statement), statement))
        time.sleep(1)
        size = 0
        while piece := secure.recv(1 << 16):
            size += len(piece)
        assert size > 30_000_000
    node.stop()


@pytest.mark.parametrize("polite", [True, False])
def test_a_client_that_goes_away_cancels_its_statement(make_tls_node, polite):
    node = make_tls_node()
    node.start()
    statement = b"SELECT sum(a.i * b.i % 7) FROM range(1000000) a(i), range(1000000) b(i)"
    secure = connect(node)
    secure.sendall(b"POST /v1/sql?timeout=300s HTTP/1.1\r\nHost: x\r\nContent-Type: application/sql\r\nContent-Length: %d\r\n\r\n%s" % (len(statement), statement))
    time.sleep(1)
    if polite:
        secure.settimeout(0.2)
        with contextlib.suppress(OSError):
            secure.unwrap()  # sends close_notify, and the socket stays open
    else:
        secure.close()

    def cancelled():
        return [line for line in node.request("GET", "/metrics")[2].decode().splitlines() if line.startswith("http_requests_total") and 'status="4' in line]

    within_seconds(cancelled, 20)
    secure.close()
    node.stop()


def test_stopping_ends_every_kind_of_connection(make_tls_node):
    node = make_tls_node()
    node.start()
    idle = connect(node)
    silent = socket.create_connection(("127.0.0.1", port_of(node.url)))
    half = socket.create_connection(("127.0.0.1", port_of(node.kafka)))
    half.sendall(b"\x16\x03\x01\x02\x00")
    gone = connect(node)
    gone.detach()  # without a word
    begin = time.monotonic()
    node.stop()
    assert time.monotonic() - begin < 10
    assert idle.recv(1) == b""
    for each in (idle, silent, half):
        each.close()


def librdkafka(node, authority, **more):
    return {"bootstrap.servers": node.kafka, "security.protocol": "SSL", "ssl.ca.location": str(authority.root), **more}


def round_trip(options):
    from confluent_kafka import Consumer, Producer

    errors = []
    producer = Producer(options)
    for _ in range(5000):
        producer.produce("clicks", CLICK, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0 and errors == [None] * 5000
    consumer = Consumer({**options, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe(["clicks"])
    got = 0
    deadline = time.monotonic() + 60
    while got < 5000:
        assert time.monotonic() < deadline
        got += sum(message.error() is None for message in consumer.consume(1000, 1))
    consumer.commit(asynchronous=False)
    consumer.close()


def test_confluent_kafka_over_tls(make_tls_node, authority):
    node = make_tls_node()
    node.start()
    round_trip(librdkafka(node, authority))
    assert node.metric("kafka_tls_handshakes_total") >= 2
    node.stop()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_confluent_kafka_signs_in_over_tls(make_tls_node, authority, mechanism):
    node = make_tls_node()
    user(node, "etl", "ingest:clicks", "consume:clicks")
    node.start()
    round_trip(librdkafka(node, authority, **{"security.protocol": "SASL_SSL", "sasl.mechanism": mechanism, "sasl.username": "etl", "sasl.password": PASSWORD}))
    node.stop()


def test_kafka_clients_learn_that_the_other_side_speaks_something_else(make_tls_node, make_node, authority):
    from confluent_kafka import Producer

    node = make_tls_node()
    node.start()
    plain = make_node(SQL)
    plain.start()
    for options, other in ((({"bootstrap.servers": node.kafka}), node), (librdkafka(plain, authority), plain)):
        errors = []
        producer = Producer({**options, "error_cb": errors.append})
        within_seconds(lambda: producer.poll(0.1) is not None and errors)
        within_seconds(lambda: any("plain text" in line for line in other.stderr))
    untrusting = []
    producer = Producer({"bootstrap.servers": node.kafka, "security.protocol": "SSL", "error_cb": untrusting.append})
    within_seconds(lambda: producer.poll(0.1) is not None and any("certificate" in error.str() for error in untrusting))
    node.stop()
    plain.stop()


def test_kcat_over_tls(make_tls_node, authority):
    node = make_tls_node()
    node.start()

    def kcat(*arguments, stdin=None):
        done = subprocess.run(["kcat", "-b", node.kafka, "-X", "security.protocol=ssl", "-X", f"ssl.ca.location={authority.root}", *arguments], input=stdin,
                              capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert b'topic "clicks"' in kcat("-L")
    kcat("-P", "-t", "clicks", stdin=CLICK * 20_000)
    assert kcat("-C", "-t", "clicks", "-o", "beginning", "-e", "-q") == CLICK * 20_000
    node.stop()


def test_kafka_python_over_tls(make_tls_node, authority):
    from kafka import KafkaConsumer, KafkaProducer

    node = make_tls_node()
    user(node, "etl", "ingest:clicks", "consume:clicks")
    node.start()
    options = {"bootstrap_servers": node.kafka, "security_protocol": "SASL_SSL", "ssl_cafile": str(authority.root), "sasl_mechanism": "PLAIN",
               "sasl_plain_username": "etl", "sasl_plain_password": PASSWORD}
    producer = KafkaProducer(**options)
    for _ in range(10):
        producer.send("clicks", CLICK).get(30)
    consumer = KafkaConsumer("clicks", **options, auto_offset_reset="earliest", consumer_timeout_ms=20000)
    assert [next(consumer).value for _ in range(10)] == [CLICK] * 10
    consumer.close()
    producer.close()
    node.stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_java_client_over_tls(make_tls_node, authority, version):
    node = make_tls_node(KAFKA_SQL)
    node.start()
    java(version, node, "round-trip", env={"KAFKA_AUTHORITY": str(authority.root)})
    node.stop()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_java_client_signs_in_over_tls(make_tls_node, authority, mechanism):
    node = make_tls_node(KAFKA_SQL)
    user(node, "etl", "ingest:*", "consume:*")
    node.start()
    module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
    jaas = f'org.apache.kafka.common.security.{module} required username="etl" password="{PASSWORD}";'
    java("4.1.1", node, "round-trip", env={"KAFKA_AUTHORITY": str(authority.root), "KAFKA_MECHANISM": mechanism, "KAFKA_JAAS": jaas})
    node.stop()


class Producing:
    """A producer that sends numbered records until it is told to stop, and knows which were acknowledged."""

    def __init__(self, options):
        from confluent_kafka import Producer

        self.acknowledged, self.errors = set(), []
        self.producer = Producer({**options, "linger.ms": 1, "error_cb": lambda error: self.errors.append(error)})
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number = 0
        while not self.stopping:
            self.producer.produce("clicks", json.dumps({"user_id": number, "product": "tea"}),
                                  on_delivery=lambda error, _, number=number: self.errors.append(error) if error else self.acknowledged.add(number))
            number += 1
            self.producer.poll(0.001)

    def stop(self):
        self.stopping = True
        self.thread.join()


def test_a_changed_certificate_is_taken_while_a_producer_runs(make_tls_node, authority):
    node = make_tls_node()
    node.start()
    producing = Producing(librdkafka(node, authority))
    first = serial(node, node.url)
    kept = connect(node)
    authority.renew()
    within_seconds(lambda: serial(node, node.url) != first)
    second = serial(node, node.kafka)
    assert second != first
    kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert kept.recv(1000).startswith(b"HTTP/1.1 200")
    assert node.metric("tls_certificate_reloads_total") == 1

    key = authority.key.read_bytes()
    authority.key.write_bytes(b"no key at all")
    within_seconds(lambda: node.metric("tls_certificate_reload_failures_total") == 1)
    assert any("the old ones stay" in line and "node.key" in line for line in node.stderr)
    assert serial(node, node.kafka) == second
    authority.key.write_bytes(key)
    within_seconds(lambda: node.metric("tls_certificate_reloads_total") == 2)
    authority.renew()
    within_seconds(lambda: serial(node, node.kafka) != second)
    producing.stop()
    assert producing.producer.flush(30) == 0
    assert producing.errors == [] and len(producing.acknowledged) > 100
    within_seconds(lambda: node.sql("SELECT clicks FROM by_product") == [[len(producing.acknowledged)]])
    node.stop()


def test_what_was_acknowledged_over_tls_outlives_a_kill(make_tls_node, authority):
    node = make_tls_node()
    node.start()
    producing = Producing(librdkafka(node, authority))
    within_seconds(lambda: len(producing.acknowledged) > 2000)
    node.kill()
    producing.stop()
    acknowledged = set(producing.acknowledged)
    node.start()
    within_seconds(lambda: acknowledged <= {row[0] for row in node.sql("SELECT user_id FROM clicks")})
    node.stop()


def test_commands_talk_to_a_node_by_https(make_tls_node, authority, tmp_path):
    node = make_tls_node()
    node.start()
    refused = node.cli("sql", "SELECT 42")
    assert refused.returncode == 1 and "not trusted: unable to get local issuer certificate" in refused.stderr and "--ca" in refused.stderr
    assert "42" in node.cli("sql", "SELECT 42", "--ca", authority.root).stdout
    assert "42" in node.cli("sql", "SELECT 42", env={"MILLRACE_CA": str(authority.root)}).stdout
    loaded = node.cli("load", "clicks", "-", "--format", "ndjson", "--id", "one", "--ca", authority.root, stdin=CLICK * 100_000)
    assert loaded.returncode == 0, loaded.stderr
    within_seconds(lambda: node.sql("SELECT count(*) FROM clicks") == [[100_000]])
    plain = millrace("sql", "SELECT 42", "--url", node.url.replace("https", "http"))
    assert plain.returncode == 1 and "speaks TLS" in plain.stderr and "https://" in plain.stderr
    made = node.cli("backup", tmp_path / "backups", "--quiet", "--ca", authority.root)
    assert made.returncode == 0, made.stderr
    missing = node.cli("sql", "SELECT 42", "--ca", "nowhere.pem")
    assert missing.returncode == 1 and "nowhere.pem" in missing.stderr
    node.stop()


def test_commands_trust_the_certificate_that_the_node_notes(make_tls_node, authority, tmp_path):
    node = make_tls_node()
    node.data = pathlib.Path(node.project) / ".millrace"
    node.start()
    authority.renew()
    within_seconds(lambda: node.metric("tls_certificate_reloads_total") == 1)
    within_seconds(lambda: "42" in millrace("sql", "SELECT 42", cwd=node.project).stdout)
    plan = millrace("plan", node.project, "--data", node.data)
    assert plan.returncode == 0, plan.stderr
    note = (node.data / "address").read_text()
    (node.data / "address").write_text(note.split()[0] + " " + "0" * 64)
    other = millrace("sql", "SELECT 42", cwd=node.project)
    assert other.returncode == 1 and "not the one that was noted" in other.stderr
    node.stop()


def test_what_is_wrong_with_the_files_is_said_at_the_start(make_node, authority, tmp_path):
    node = make_node(SQL)

    def start(*flags):
        return millrace("run", node.project, "--data", node.data, "--http", "127.0.0.1:0", "--kafka", "off", *flags)

    def refused(*flags):
        done = start(*flags)
        assert done.returncode == 1, done.stderr
        return done.stderr

    certificate, key = authority.flags[1], authority.flags[3]
    assert "nowhere.pem: No such file" in refused("--tls-certificate", "nowhere.pem", "--tls-key", key)
    assert "--tls-key" in refused("--tls-certificate", certificate)
    assert "--tls-certificate" in refused("--tls-key", key)
    assert "a certificate and its key are needed" in refused("--tls", "kafka")
    assert "it is auto, off, or listeners" in refused(*authority.flags, "--tls", "smtp")
    assert "the key is not that of the certificate" in refused("--tls-certificate", certificate, "--tls-key", authority.folder / "root.key")
    assert "there is no certificate in it" in refused("--tls-certificate", key, "--tls-key", key)
    authority.openssl("pkey", "-in", "node.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
    assert "the key is encrypted" in refused("--tls-certificate", certificate, "--tls-key", authority.folder / "locked.key")
    authority.openssl("req", "-x509", "-newkey", "rsa:1024", "-noenc", "-subj", "/CN=weak", "-keyout", "weak.key", "-out", "weak.pem")
    assert "key too small" in refused("--tls-certificate", authority.folder / "weak.pem", "--tls-key", authority.folder / "weak.key")


def test_an_expired_certificate_and_an_open_key_are_warned_of(make_node, authority):
    authority.sign("old", "middle", "subjectAltName=DNS:localhost", days=-1)
    os.chmod(authority.folder / "old.key", 0o644)
    node = make_node(SQL, "--tls-certificate", str(authority.folder / "old.pem"), "--tls-key", str(authority.folder / "old.key"), "--tls", "http")
    node.start()
    node.stop()
    assert any("has expired" in line and "old.pem" in line for line in node.stderr)
    assert any("every user of this machine may read the TLS key" in line for line in node.stderr)


def test_each_listener_may_be_chosen_and_tls_silences_the_warning(make_node, authority):
    from confluent_kafka.admin import AdminClient

    node = make_node(SQL, *authority.flags, "--tls", "kafka")
    node.start()
    assert node.url.startswith("http://") and node.get("/v1/ledger")
    assert "clicks" in AdminClient(librdkafka(node, authority)).list_topics(timeout=30).topics
    node.stop()
    token(node, "admin")
    for more, warned in (((), False), (("--tls", "http"), True), (("--tls", "off"), True)):
        node = make_node(SQL, *authority.flags, "--kafka", "0.0.0.0:0", *more, data=node.data)
        node.start()
        node.stop()
        assert any("in clear" in line and "kafka=" in line for line in node.stderr) == warned


def test_the_tls_commands_of_the_security_manual(make_node, tmp_path):
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "security.md").read_text(), re.S) if "certificate.pem" in block]
    assert len(blocks) == 2
    environment = {**os.environ, "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}

    def run(commands):
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", commands], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=120)
        assert done.returncode == 0, (commands, done.stdout, done.stderr)
        return done.stdout

    run(blocks[0])
    begin = re.search(r"^millrace run shop (.*?) &\n", blocks[1], re.M)
    node = make_node(SHOP, *[str(tmp_path / word) if word.endswith(".pem") else word for word in begin.group(1).split()])
    node.start()
    commands = blocks[1].replace(begin.group(0), "").replace("localhost:8080", f"localhost:{port_of(node.url)}").replace("localhost:9092", f"localhost:{port_of(node.kafka)}")
    out = run(commands.replace("curl ", "curl -S --fail-with-body "))
    assert "revenue_by_day" in out and 'topic "order_lines"' in out
    node.stop()
