"""Clients of other languages against the Kafka listener, unmodified: franz-go, kafkajs, Kafka's command line tools and Kafka Connect."""
import os
import pathlib
import re
import subprocess

import pytest

from deps import DEPS
from node import ROOT
from test_kafka import wait_for

SQL = """
CREATE STREAM clicks (user_id BIGINT NOT NULL, product VARCHAR NOT NULL, price DECIMAL(10,2)) PARTITION BY (user_id) INTO 3 PARTITIONS;
CREATE STREAM lines (text VARCHAR);
CREATE STREAM copied (text VARCHAR);
CREATE MATERIALIZED VIEW by_product AS SELECT product, count(*) AS clicks FROM clicks GROUP BY product;
"""
TOOLS = DEPS / "kafka-tools-3.9.1"


def run(arguments, cwd=None, stdin="", env=None, timeout=180):
    done = subprocess.run([str(argument) for argument in arguments], cwd=cwd, input=stdin, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(node, name, *arguments, stdin=""):
    """One of Kafka's command line tools, by its class."""
    # Lines of log4j, which has no settings here, say so.
    out = run(["java", "-Xmx200m", "-XX:TieredStopAtLevel=1", "-cp", f"{TOOLS}/*", name, "--bootstrap-server", node.kafka, *arguments], stdin=stdin)
    return "\n".join(line for line in out.splitlines() if not line.startswith("log4j:"))


def products(node):
    return {row[0]: row[1] for row in node.sql("SELECT product, clicks FROM by_product")}


@pytest.fixture
def node(make_node):
    node = make_node(SQL)
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def franz_go(folder):
    """The program in tests/clients/franz_go, built."""
    binary = folder / "client"
    run(["go", "build", "-o", binary, "."], cwd=ROOT / "tests" / "clients" / "franz_go", env={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"},
        timeout=400)
    return binary


def test_franz_go_produces_consumes_in_groups_and_administers(node, franz_go):
    assert run([franz_go, node.kafka, "round-trip"]).strip() == "done"
    assert run([franz_go, node.kafka, "admin"]).strip() == "done"
    wait_for(lambda: products(node) == {codec: 1000 for codec in ["none", "gzip", "snappy", "lz4", "zstd"]})


def test_franz_go_commits_aborts_and_copies_in_transactions(node, franz_go):
    assert run([franz_go, node.kafka, "transactions"]).strip() == "done"
    # In the books as well: 20 copies, and 10 records that were taken back.
    wait_for(lambda: node.books("copied")["records"] == 20 and node.books("lines")["aborted"] == 10)
    assert node.get("/v1/ledger")["balanced"] is True


def test_kafkajs_produces_consumes_transacts_and_administers(node):
    program = ROOT / "tests" / "clients" / "kafkajs" / "client.js"
    for step in ["round-trip", "transactions", "admin"]:
        out = run(["node", program, node.kafka, step], env={"NODE_PATH": str(DEPS / "kafkajs-2.2.4" / "node_modules")})
        assert out.strip().splitlines()[-1] == "done"
    wait_for(lambda: products(node) == {"none": 1000, "gzip": 1000})


def test_the_command_line_tools_make_grow_and_drop_topics(node):
    topics = "org.apache.kafka.tools.TopicCommand"
    assert tool(node, topics, "--list").split() == ["clicks", "copied", "lines"]
    assert "Created topic made." in tool(node, topics, "--create", "--topic", "made", "--partitions", "2", "--config", "retention.ms=100000")
    tool(node, topics, "--alter", "--topic", "made", "--partitions", "5")
    assert re.search(r"PartitionCount: 5\b.*retention\.ms=100000", tool(node, topics, "--describe", "--topic", "made"))
    configs = "kafka.admin.ConfigCommand"
    tool(node, configs, "--alter", "--topic", "made", "--add-config", "retention.bytes=1000000")
    assert "retention.bytes=1000000" in tool(node, configs, "--describe", "--topic", "made")
    tool(node, "kafka.tools.ConsoleProducer", "--topic", "made", stdin="".join(f"{i}\n" for i in range(100)))
    offsets = tool(node, "org.apache.kafka.tools.GetOffsetShell", "--topic", "made").split()
    assert len(offsets) == 5 and sum(int(line.rsplit(":", 1)[1]) for line in offsets) == 100
    wait_for(lambda: node.sql("SELECT count(*) FROM made") == [[100]])
    dirs = tool(node, "org.apache.kafka.tools.LogDirsCommand", "--describe", "--topic-list", "made")
    assert '"partition":"made-4"' in dirs and "/log" in dirs
    tool(node, topics, "--delete", "--topic", "made")
    assert "made" not in tool(node, topics, "--list").split()


def test_the_command_line_tools_read_and_reset_groups(node):
    tool(node, "kafka.tools.ConsoleProducer", "--topic", "lines", stdin="".join(f'{{"text": "{i}"}}\n' for i in range(10)))
    read = tool(node, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", "lines", "--from-beginning", "--max-messages", "10", "--group", "tills")
    assert read.split("\n")[:10] == [f'{{"text": "{i}"}}' for i in range(10)]
    groups = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    assert tool(node, groups, "--list").split() == ["tills"]
    assert re.search(r"tills +lines +0 +10 +10 +0", tool(node, groups, "--describe", "--group", "tills"))
    assert re.search(r"tills +lines +0 +0", tool(node, groups, "--reset-offsets", "--to-earliest", "--execute", "--topic", "lines", "--group", "tills"))
    assert re.search(r"tills +lines +0 +0 +10 +10", tool(node, groups, "--describe", "--group", "tills"))
    tool(node, groups, "--delete", "--group", "tills")


def test_kafka_connect_copies_a_file_through_a_topic(node, tmp_path):
    source, copy = tmp_path / "in.txt", tmp_path / "out.txt"
    lines = [f"line {i}" for i in range(2000)]
    source.write_text("".join(line + "\n" for line in lines))
    (tmp_path / "worker.properties").write_text(f"""
bootstrap.servers={node.kafka}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.file.filename={tmp_path}/offsets
offset.flush.interval.ms=500
listeners=http://127.0.0.1:0
plugin.discovery=service_load
plugin.path={TOOLS}
""")
    for name, settings in {"source": f"connector.class=org.apache.kafka.connect.file.FileStreamSourceConnector\nfile={source}\ntopic=from-file\n",
                           "sink": f"connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector\nfile={copy}\ntopics=from-file\n"}.items():
        (tmp_path / f"{name}.properties").write_text(f"name={name}\ntasks.max=1\n{settings}")
    with open(tmp_path / "connect.log", "w") as log:
        connect = subprocess.Popen(["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{TOOLS}/*", "org.apache.kafka.connect.cli.ConnectStandalone",
                                    *(str(tmp_path / f"{name}.properties") for name in ["worker", "source", "sink"])], stdout=log, stderr=log)
        try:
            wait_for(lambda: copy.exists() and copy.read_text().splitlines() == lines, seconds=90)
        finally:
            connect.kill()
            connect.wait()
    # What a client makes by writing to it is a stream of raw records.
    assert node.sql('SELECT count(*) FROM "from-file"') == [[2000]]


@pytest.mark.skipif(os.environ.get("MILLRACE_HEAVY") != "1", reason="a minute of Connect's own waiting: make test-all")
def test_distributed_kafka_connect_keeps_its_state_in_compacted_topics(node, tmp_path):
    """Its worker makes three compacted topics, is a group of its own kind, and goes on after a kill from what they hold."""
    source, copy = tmp_path / "in.txt", tmp_path / "out.txt"
    (tmp_path / "worker.properties").write_text(f"""
bootstrap.servers={node.kafka}
group.id=connect
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
config.storage.topic=connect-configs
offset.storage.topic=connect-offsets
status.storage.topic=connect-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=3
status.storage.partitions=2
scheduled.rebalance.max.delay.ms=0
offset.flush.interval.ms=500
listeners=http://127.0.0.1:0
plugin.discovery=service_load
plugin.path={TOOLS}
""")
    connectors = {"source": {"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "file": str(source), "topic": "lines-of-file"},
                  "sink": {"connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "file": str(copy), "topics": "lines-of-file"}}
    lines = []

    def copied():  # at least once: a kill comes before the last offsets are committed
        return copy.exists() and set(copy.read_text().splitlines()) == set(lines)

    for life in range(2):
        with open(tmp_path / f"connect-{life}.log", "w") as log:
            connect = subprocess.Popen(["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{TOOLS}/*", "org.apache.kafka.connect.cli.ConnectDistributed",
                                        str(tmp_path / "worker.properties")], stdout=log, stderr=log)
            try:
                lines += [f"line {life}-{i}" for i in range(500)]
                source.write_text("".join(line + "\n" for line in lines))
                if life == 0:
                    port = wait_for(lambda: listening_port(connect.pid), seconds=90)  # noqa: B023
                    for name, config in connectors.items():
                        wait_for(lambda: put_connector(port, name, config), seconds=90)  # noqa: B023
                wait_for(copied, seconds=90)
            finally:
                connect.kill()
                connect.wait()
    assert node.sql('SELECT count(*) >= 1000 FROM "lines-of-file"') == [[True]]
    groups = tool(node, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--list")
    assert "connect-sink" in groups
    configs = tool(node, "org.apache.kafka.tools.TopicCommand", "--describe", "--topic", "connect-configs,connect-offsets,connect-status")
    assert configs.count("cleanup.policy=compact") == 3, configs


def listening_port(pid):
    """The port on which the process listens; None: not yet."""
    links = [os.readlink(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    for name in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
                return int(fields[1].rsplit(":", 1)[1], 16)
    return None


def put_connector(port, name, config):
    """Over Connect's own HTTP API; false while it is still joining its group."""
    import json
    import urllib.error
    import urllib.request
    request = urllib.request.Request(f"http://127.0.0.1:{port}/connectors/{name}/config", json.dumps(config).encode(), {"Content-Type": "application/json"}, method="PUT")
    try:
        return urllib.request.urlopen(request, timeout=60).status in (200, 201)
    except urllib.error.HTTPError as error:
        if error.code in (409, 404, 500, 503):
            return False
        raise
