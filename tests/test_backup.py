"""Backups of a running node: whole at one step, small the second time, usable after any kill, and checked."""
import json
import os
import pathlib
import random
import shutil
import signal
import stat
import subprocess
import threading
import time

import pytest

from node import BINARY, Node, Refused, millrace
from small_disk import small_disk

SQL = """
CREATE STREAM events (id BIGINT NOT NULL, k BIGINT NOT NULL, v BIGINT) PARTITION BY (k) INTO 3 PARTITIONS;
CREATE TABLE names (k BIGINT PRIMARY KEY, name VARCHAR);
CREATE MATERIALIZED VIEW totals AS SELECT k, count(*) AS n, sum(v) AS total FROM events GROUP BY k;
CREATE MATERIALIZED VIEW named AS SELECT name, n, total FROM totals JOIN names USING (k);
"""
VIEWS = ["totals", "named"]


def rows(first, count):
    return [json.dumps({"id": i, "k": i % 17, "v": i % 101}) for i in range(first, first + count)]


def contents(node):
    return {name: node.sql(f"SELECT * FROM {name} ORDER BY ALL") for name in ["events", "names", *VIEWS]}


def backup(node, folder, *arguments):
    done = node.cli("backup", folder, "--quiet", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def restore(folder, data, *arguments):
    done = millrace("restore", folder, "--data", data, "--quiet", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def verify(directory):
    return millrace("verify", "--data", directory, "--quiet")


def new_bytes(text):
    """Of "…, 1.2 MB, of which 3.4 kB are new, …"."""
    number, unit = text.split("of which ")[1].split(" are new")[0].split()
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


@pytest.fixture
def node(make_node):
    node = make_node(SQL)
    node.start()
    node.sql("INSERT INTO names SELECT i, 'n' || i FROM range(17) t(i)")
    yield node
    if node.process.poll() is None:
        node.stop()


def test_what_is_restored_is_what_was_there_and_goes_on_alone(node, tmp_path):
    node.send("events", rows(0, 5000), key="first", query="?wait=visible&timeout=20s")
    before = contents(node)
    backup(node, tmp_path / "backups")
    node.send("events", rows(5000, 100), query="?wait=visible&timeout=20s")
    assert not (tmp_path / "data0" / "backup" / "source").exists()  # given back

    restore(tmp_path / "backups", tmp_path / "restored")
    copy = Node(node.project, tmp_path / "restored")
    copy.start()
    assert contents(copy) == before
    assert copy.send("events", rows(0, 5000), key="first")["repeated"]
    copy.send("events", rows(9000, 7), query="?wait=visible&timeout=20s")
    assert copy.sql("SELECT count(*) FROM events") == [[5007]]
    for view in VIEWS:
        assert copy.difference(view) == 0, view
    assert copy.get("/v1/ledger")["balanced"]
    cluster = [(tmp_path / name / "cluster_id").read_text() for name in ("data0", "restored")]
    assert cluster[0] != cluster[1]
    copy.stop()
    assert verify(tmp_path / "restored").returncode == 0
    assert node.sql("SELECT count(*) FROM events") == [[5100]]


def test_under_load_every_view_of_the_restored_node_agrees_with_its_stream(node, tmp_path):
    acknowledged = 0
    stop = threading.Event()

    def send():
        nonlocal acknowledged
        while not stop.is_set():
            node.send("events", rows(acknowledged, 200))
            acknowledged += 200

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for number in range(1, 4):
            time.sleep(0.3)
            before = acknowledged
            backup(node, tmp_path / "backups")
            after = acknowledged
            data = tmp_path / f"restored{number}"
            restore(tmp_path / "backups", data)
            copy = Node(node.project, data)
            copy.start()
            copy.wait_for_records("events", before)  # what the log has beyond the backup's step comes in after the start
            deadline = time.monotonic() + 60
            count = -1
            while count != (count := copy.sql("SELECT count(*) FROM events")[0][0]) or copy.metric("millrace_step_lag_records") > 0:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert before <= count <= after + 200, (before, count, after)
            assert copy.sql("SELECT count(DISTINCT id), max(id) + 1 FROM events") == [[count, count]]
            for view in VIEWS:
                assert copy.difference(view) == 0, (number, view)
            copy.stop()
    finally:
        stop.set()
        sender.join()


def test_the_second_backup_copies_what_has_changed_only(node, tmp_path):
    node.send("events", rows(0, 60_000), query="?wait=visible&timeout=60s")
    first = new_bytes(backup(node, tmp_path / "backups"))
    second = new_bytes(backup(node, tmp_path / "backups", "--keep", "1"))
    assert second < first / 3, (first, second)
    assert sorted(name for name in os.listdir(tmp_path / "backups") if name != "lock") == ["2"]
    done = verify(tmp_path / "backups")  # what the first one was linked to is still there
    assert done.returncode == 0 and "sound" in done.stdout, done.stdout + done.stderr
    restore(tmp_path / "backups", tmp_path / "restored")


def test_a_backup_that_is_killed_leaves_the_one_before_and_the_next_works(node, tmp_path, seed):
    choose = random.Random(seed)
    node.send("events", rows(0, 100_000), query="?wait=visible&timeout=60s")
    backups = tmp_path / "backups"
    backup(node, backups)
    cut_off = 0
    for kill in range(6):
        node.send("events", rows(100_000 + kill * 50_000, 50_000), query="?wait=visible&timeout=60s")
        process = subprocess.Popen([str(BINARY), "backup", str(backups), "--url", node.url, "--mb-per-second", "10"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(choose.uniform(0.02, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        cut_off += any(name.endswith(".partial") for name in os.listdir(backups))
        restore(backups, tmp_path / f"restored{kill}")
        shutil.rmtree(tmp_path / f"restored{kill}")
    assert cut_off > 0, "no kill met a backup that was under way"
    backup(node, backups)
    assert not any(name.endswith(".partial") for name in os.listdir(backups))
    assert verify(backups).returncode == 0
    restore(backups, tmp_path / "restored")
    copy = Node(node.project, tmp_path / "restored")
    copy.start()
    assert copy.sql("SELECT count(*) FROM events") == node.sql("SELECT count(*) FROM events")
    copy.stop()


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at if at >= 0 else path.stat().st_size + at)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x55]))


def largest(folder, pattern):
    return max(folder.glob(pattern), key=lambda path: path.stat().st_size)


def test_verify_names_what_is_damaged_in_each_kind_of_file(node, tmp_path):
    node.send("events", rows(0, 3000), query="?wait=visible&timeout=20s")
    node.stop()
    data = tmp_path / "data0"
    sound = verify(data)
    assert sound.returncode == 0 and "sound" in sound.stdout, sound.stdout + sound.stderr
    kinds = {
        "segment": (largest(data, "log/events/*/*.log"), 200, "topic events partition"),
        "index": (largest(data, "log/events/*/*.frames"), 60, "topic events partition"),
        "index header": (largest(data, "log/events/*/*.frames"), 9, ".frames: its header"),
        "checkpoint": (data / "wal" / "checkpoint", 30, "wal/checkpoint: one of its two copies"),
        "catalog": (largest(data, "log/__catalog/0/*.log"), 100, "catalog"),
        "journal": (largest(data, "log/__steps/0/*.log"), 100, "journal"),
        "topic": (data / "log" / "events" / "topic", 3, "log/events/topic"),
        "state": (largest(data, "state/*.sst"), 40, ".sst"),
        "list of the state's files": (largest(data, "state/MANIFEST-*"), 20, "state"),
    }
    for kind, (path, at, expected) in kinds.items():
        kept = path.read_bytes()
        flip(path, at)
        found = verify(data)
        path.write_bytes(kept)
        assert found.returncode == 1, (kind, found.stdout, found.stderr)
        damage = [line for line in found.stdout.splitlines() if line.startswith("damaged: ")]
        assert any(expected in line for line in damage), (kind, damage)
    assert verify(data).returncode == 0


def test_verify_and_restore_find_damage_in_a_backup(node, tmp_path):
    node.send("events", rows(0, 3000), query="?wait=visible&timeout=20s")
    backup(node, tmp_path / "backups")
    path = largest(tmp_path / "backups" / "1", "log/events/*/*.log")
    flip(path, 300)
    found = verify(tmp_path / "backups")
    assert found.returncode == 1 and str(path) in found.stdout and "offsets" in found.stdout, found.stdout
    refused = millrace("restore", tmp_path / "backups", "--data", tmp_path / "restored")
    assert refused.returncode == 1 and str(path) in refused.stderr, refused.stderr
    assert not (tmp_path / "restored").exists() and not (tmp_path / "restored.restoring").exists()
    flip(tmp_path / "backups" / "1" / "manifest", 40)
    found = verify(tmp_path / "backups")
    assert found.returncode == 1 and "manifest" in found.stdout


def test_what_cannot_be_is_refused_with_a_way_out(node, tmp_path):
    refused = verify(tmp_path / "data0")
    assert refused.returncode == 1 and "lock" in refused.stderr.lower() + refused.stdout.lower()
    backup(node, tmp_path / "backups")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    refused = millrace("restore", tmp_path / "backups", "--data", tmp_path / "full")
    assert refused.returncode == 1 and "not empty" in refused.stderr
    assert (tmp_path / "full" / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    restore(tmp_path / "backups", tmp_path / "empty")
    refused = millrace("restore", tmp_path / "backups", "--data", tmp_path / "other", "--number", "9")
    assert refused.returncode == 1 and "newest is 1" in refused.stderr
    refused = millrace("restore", tmp_path / "nothing", "--data", tmp_path / "other")
    assert refused.returncode == 1 and "nothing" in refused.stderr
    refused = verify(tmp_path / "full")
    assert refused.returncode == 1 and "neither" in refused.stderr


def test_groups_and_transactions_are_those_of_the_backup(node, tmp_path):
    confluent_kafka = pytest.importorskip("confluent_kafka")
    settings = {"bootstrap.servers": node.kafka}
    plain = confluent_kafka.Producer(settings)
    for i in range(100):
        plain.produce("events", json.dumps({"id": i, "k": 0, "v": 1}), partition=0)
    assert plain.flush(30) == 0
    consumer = confluent_kafka.Consumer({**settings, "group.id": "g", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.assign([confluent_kafka.TopicPartition("events", 0, 0)])
    consumer.commit(offsets=[confluent_kafka.TopicPartition("events", 0, 42)], asynchronous=False)
    done = confluent_kafka.Producer({**settings, "transactional.id": "done"})
    done.init_transactions(30)
    done.begin_transaction()
    done.produce("events", json.dumps({"id": 1000, "k": 1, "v": 1}), partition=1)
    done.commit_transaction(30)
    open_one = confluent_kafka.Producer({**settings, "transactional.id": "open", "transaction.timeout.ms": 5000})
    open_one.init_transactions(30)
    open_one.begin_transaction()
    open_one.produce("events", json.dumps({"id": 2000, "k": 2, "v": 1}), partition=2)
    assert open_one.flush(30) == 0
    node.wait_for_records("events", 101)
    backup(node, tmp_path / "backups")
    consumer.commit(offsets=[confluent_kafka.TopicPartition("events", 0, 77)], asynchronous=False)
    open_one.commit_transaction(30)
    consumer.close()

    restore(tmp_path / "backups", tmp_path / "restored")
    copy = Node(node.project, tmp_path / "restored")
    copy.start()
    again = confluent_kafka.Consumer({"bootstrap.servers": copy.kafka, "group.id": "g", "auto.offset.reset": "earliest"})
    assert again.committed([confluent_kafka.TopicPartition("events", 0)], 30)[0].offset == 42
    again.close()
    # The open one is aborted when its time is over, and then holds back nobody.
    copy.send("events", [json.dumps({"id": i, "k": i, "v": 1}) for i in range(3000, 3050)], query="?wait=visible&timeout=30s")
    assert copy.sql("SELECT count(*) FROM events WHERE id = 2000") == [[0]]
    assert copy.sql("SELECT count(*) FROM events WHERE id = 1000") == [[1]]
    assert copy.books("events")["aborted"] == 1 and copy.books("events")["in flight"] == 0
    copy.stop()


def test_who_may_do_what_and_the_schemas_are_in_a_backup(node, tmp_path):
    node.request("POST", "/subjects/numbers-value/versions", b'{"schema": "\\"int\\""}')
    made = millrace("token", "create", "--data", node.data, "--scope", "admin")
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    access = pathlib.Path(node.data) / "access"
    assert stat.S_IMODE(access.stat().st_mode) == 0o700
    wait_until(lambda: refused(node))  # the node has taken the token up
    assert node.cli("backup", tmp_path / "backups", "--quiet").returncode != 0
    assert node.cli("backup", tmp_path / "backups", "--quiet", env={"MILLRACE_TOKEN": token}).returncode == 0
    assert stat.S_IMODE((tmp_path / "backups" / "1" / "access").stat().st_mode) == 0o700
    restore(tmp_path / "backups", tmp_path / "again")
    assert stat.S_IMODE((tmp_path / "again" / "access").stat().st_mode) == 0o700
    again = Node(node.project, tmp_path / "again")
    again.start()
    assert refused(again)
    assert "numbers-value" in json.loads(again.request("GET", "/subjects", headers={"Authorization": f"Bearer {token}"})[2])
    again.stop()


def refused(node):
    try:
        node.request("GET", "/subjects")
    except Refused as answer:
        return answer.status == 401
    return False


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_disk_that_is_too_small_fails_the_backup_and_keeps_the_one_before(node, tmp_path):
    with small_disk(tmp_path / "small", "6m") as small:
        node.send("events", rows(0, 1000), query="?wait=visible&timeout=20s")
        backup(node, small / "backups")
        for i in range(4):
            node.send("events", rows(1000 + i * 50_000, 50_000), query="?wait=visible&timeout=60s")
        refused = node.cli("backup", small / "backups", "--quiet")
        assert refused.returncode == 1 and "free" in refused.stderr, refused.stderr
        assert sorted(name for name in os.listdir(small / "backups") if name != "lock") == ["1"]
        assert verify(small / "backups").returncode == 0


def test_a_node_starts_with_what_is_readable_of_groups_and_transactions(node, tmp_path):
    confluent_kafka = pytest.importorskip("confluent_kafka")
    settings = {"bootstrap.servers": node.kafka}
    partition = confluent_kafka.TopicPartition
    node.send("events", rows(0, 100), query="?wait=visible&timeout=20s")
    for number, group in enumerate(["first", "second", "third"]):
        consumer = confluent_kafka.Consumer({**settings, "group.id": group, "enable.auto.commit": False})
        consumer.assign([partition("events", 0, 0)])
        consumer.commit(offsets=[partition("events", 0, number + 1)], asynchronous=False)
        consumer.close()
    open_one = confluent_kafka.Producer({**settings, "transactional.id": "open"})
    open_one.init_transactions(30)
    open_one.begin_transaction()
    open_one.produce("events", json.dumps({"id": 2000, "k": 2, "v": 1}), partition=2)
    assert open_one.flush(30) == 0
    node.kill()
    node.start()  # takes the write-ahead file into segments
    node.stop()
    offsets = largest(tmp_path / "data0", "log/__consumer_offsets/0/*.log")
    transactions = largest(tmp_path / "data0", "log/__transaction_state/0/*.log")
    flip(offsets, offsets.read_bytes().index(b"second") + 2)
    content = transactions.read_bytes()
    at = 0
    while (at := content.find(b"Topen", at)) >= 0:  # every record of it
        flip(transactions, at)
        at += 1

    node.start()
    text = "".join(node.stderr)
    assert "__consumer_offsets" in text and "__transaction_state" in text, text
    settings = {"bootstrap.servers": node.kafka}
    committed = {}
    for group in ["first", "third"]:
        consumer = confluent_kafka.Consumer({**settings, "group.id": group})
        committed[group] = consumer.committed([partition("events", 0)], 30)[0].offset
        consumer.close()
    assert committed == {"first": 1, "third": 3}
    # The open transaction is nobody's any more: it holds back no one.
    node.send("events", rows(200, 50), query="?wait=visible&timeout=30s")
    assert node.sql("SELECT count(*) FROM events") == [[150]]
    again = confluent_kafka.Producer({**settings, "transactional.id": "open"})
    again.init_transactions(30)
    again.begin_transaction()
    again.produce("events", json.dumps({"id": 3000, "k": 2, "v": 1}), partition=2)
    again.commit_transaction(30)
    node.wait_for_records("events", 152)
    assert node.sql("SELECT count(*) FROM events") == [[151]]
    assert node.get("/v1/ledger")["balanced"]
