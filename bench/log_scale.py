#!/usr/bin/env python3
"""What does not grow with the log: how long a node takes to be ready after kill -9 with logs of several sizes, and its memory when it has many
topics and nothing to do.

    bench/log_scale.py [--json] [--gigabytes N …] [--topics N]     needs build/release/bin/millrace, kcat (tools/setup.sh --test)
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import kafka as producers  # noqa: E402
from node import Node  # noqa: E402
from restart import memory_mb  # noqa: E402


def node_with(folder, name, sql):
    project = pathlib.Path(folder, name)
    project.mkdir()
    (project / "project.sql").write_text(sql)
    node = Node(project, pathlib.Path(folder, f"{name}-data"))
    return node, node.start()


def restart_after_kill(folder, gigabytes):
    """Seconds from the start to ready, killed while a producer writes."""
    node, _ = node_with(folder, f"of{gigabytes}", "CREATE STREAM bench INTO 4 PARTITIONS WITH (format = 'raw');")
    path = pathlib.Path(folder, "lines")
    producers.write_lines(path, 1000, 200)
    written = 0
    while written < gigabytes * 1000:
        producers.produce(node.kafka, "bench", path)
        written += 200
    with open(path) as lines:
        last = subprocess.Popen(["kcat", "-P", "-b", node.kafka, "-t", "bench", "-X", "acks=all"], stdin=lines, stderr=subprocess.DEVNULL)
    time.sleep(0.2)
    node.kill()
    last.kill()
    last.wait()
    seconds = node.start()
    records = node.sql("SELECT count(*) FROM bench")[0][0]
    node.stop()
    return round(seconds, 2), records


def idle(folder, topics):
    node, _ = node_with(folder, "idle", "".join(f"CREATE STREAM topic{i} INTO 1 PARTITIONS WITH (format = 'raw');\n" for i in range(topics)))
    time.sleep(5)
    result = memory_mb(node)
    node.stop()
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--gigabytes", type=int, nargs="+", default=[2, 10])
    parser.add_argument("--topics", type=int, default=1000)
    options = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory(dir="build") as folder:
        result[f"idle_with_{options.topics}_topics_mb"] = idle(folder, options.topics)
    for gigabytes in options.gigabytes:
        with tempfile.TemporaryDirectory(dir="build") as folder:
            seconds, records = restart_after_kill(folder, gigabytes)
            result[f"ready_after_kill_with_{gigabytes}_gb_s"] = seconds
            result[f"records_of_{gigabytes}_gb"] = records
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:36} {value}")


if __name__ == "__main__":
    main()
