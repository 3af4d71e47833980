#!/usr/bin/env python3
"""The Kafka listener under librdkafka: producing with acks=all and consuming through kcat, and the time of one acknowledged record at low load
through confluent-kafka. Client and node on the same machine. With --against HOST:PORT the same is asked of another broker, whose topics
bench (1 partition) and bench8 (8) are there already.

    bench/kafka.py [--json] [--megabytes N] [--against HOST:PORT]     needs build/release/bin/millrace, kcat (tools/setup.sh --test)
"""
import argparse
import json
import pathlib
import random
import string
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import deps  # noqa: E402,F401: where the clients are
from node import Node  # noqa: E402

PROJECT = """
CREATE STREAM bench (text VARCHAR) INTO 1 PARTITIONS;
CREATE STREAM bench8 (text VARCHAR) INTO 8 PARTITIONS;
"""
TOPICS = {"bench": 1, "bench8": 8}


def write_lines(path, size, megabytes):
    """JSON rows of `size` bytes each."""
    choose = random.Random(size)
    frame = len('{"text":""}\n')
    lines = "".join(json.dumps({"text": "".join(choose.choices(string.ascii_letters, k=size - frame))}, separators=(",", ":")) + "\n" for _ in range(1000))
    with open(path, "w") as file:
        for _ in range(megabytes * 1_000_000 // len(lines)):
            file.write(lines)


def produce(broker, topic, path):
    begin = time.monotonic()
    with open(path) as lines:
        subprocess.run(["kcat", "-P", "-b", broker, "-t", topic, "-X", "acks=all", "-X", "queue.buffering.max.kbytes=1048576"], stdin=lines, check=True)
    return path.stat().st_size / (time.monotonic() - begin) / 1e6


def consume(broker, topic):
    begin = time.monotonic()
    # Where its queue holds 100,000 messages the client asks for no more and may be still for a second, so that a faster broker looks slower.
    queue = ["-X", "queued.min.messages=10000000", "-X", "queued.max.messages.kbytes=1000000"]
    reader = subprocess.Popen(["kcat", "-C", "-b", broker, "-t", topic, "-o", "beginning", "-e", "-q", *queue], stdout=subprocess.PIPE)
    size = 0
    while piece := reader.stdout.read(1 << 20):
        size += len(piece)
    assert reader.wait() == 0
    return size / (time.monotonic() - begin) / 1e6


def latency(broker, seconds):
    """Milliseconds from a record of 1 KB to its acknowledgement, one after the other."""
    from confluent_kafka import Producer
    client = Producer({"bootstrap.servers": broker, "acks": "all", "linger.ms": 0, "socket.nagle.disable": True})
    value = json.dumps({"text": "x" * 1000})
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        client.produce("bench", value)
        client.flush()
        times.append((time.monotonic() - begin) * 1000)
        time.sleep(0.005)
    times = sorted(times[10:])
    return {"p50_ms": round(times[len(times) // 2], 2), "p99_ms": round(times[len(times) * 99 // 100], 2)}


def settle(node):
    """Until the engine has taken all records: it works at them beside the listener."""
    while (books := node.books("bench"))["in flight"] > 0 or books["records"] == 0:
        time.sleep(0.1)


def measure(broker, folder, megabytes, settle):
    result = {}
    for size in [1000, 100]:
        path = pathlib.Path(folder, f"lines{size}")
        write_lines(path, size, megabytes)
        for topic, partitions in TOPICS.items():
            rates = sorted(produce(broker, topic, path) for _ in range(3))
            result[f"produce_{size}_bytes_{partitions}_partitions_mb_per_s"] = round(rates[1])
        path.unlink()
    settle()
    result["consume_mb_per_s"] = round(sorted(consume(broker, "bench") for _ in range(3))[1])
    result["one_record_of_1_kb"] = latency(broker, 5)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--against")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="build") as folder:
        if options.against:
            result = measure(options.against, folder, options.megabytes, lambda: None)
        else:
            project = pathlib.Path(folder, "project")
            project.mkdir()
            (project / "project.sql").write_text(PROJECT)
            node = Node(project, pathlib.Path(folder, "data"))
            node.start()
            result = measure(node.kafka, folder, options.megabytes, lambda: settle(node))
            node.stop()
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:44} {value}")


if __name__ == "__main__":
    main()
