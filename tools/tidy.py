#!/usr/bin/env python3
"""Runs clang-tidy with the checks of .clang-tidy over source files.

    tools/tidy.py           over the .cc files that differ from the last commit
    tools/tidy.py FILE…     over these
    tools/tidy.py --all     over all (an hour: DuckDB's headers cost seconds a file)

The compiler's arguments come from build/tidy, which is configured for it, one file at a time.
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The compiler's own precompiled header and warnings mean nothing to clang.
UNKNOWN = {"-Winvalid-pch", "-Wno-restrict", "-Wno-stringop-overflow", "-Wno-stringop-overread"}


def without_compiler_specials(command):
    words = shlex.split(command)
    while words and not words[0].endswith("c++"):
        words.pop(0)  # the compiler cache
    out = []
    skip = False
    for index, word in enumerate(words):
        if skip:
            skip = False
        elif word == "-include" and "cmake_pch" in words[index + 1]:
            skip = True
        elif word not in UNKNOWN:
            out.append(word)
    return shlex.join(out)


def chosen(arguments):
    if arguments == ["--all"]:
        names = subprocess.run(["git", "ls-files", "src/*.cc"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    elif arguments:
        names = arguments
    else:
        names = subprocess.run(["git", "diff", "--name-only", "HEAD", "--", "src/*.cc"], cwd=ROOT, check=True, capture_output=True,
                               text=True).stdout.split()
    return [name for name in names if (ROOT / name).exists()]


def main():
    database = ROOT / "build" / "tidy"
    subprocess.run(["cmake", "--preset", "dev", "-B", str(database), "-DMILLRACE_UNITY=OFF"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    entries = json.loads((database / "compile_commands.json").read_text())
    for entry in entries:
        entry["command"] = without_compiler_specials(entry["command"])
    (database / "compile_commands.json").write_text(json.dumps(entries))

    def run(name):
        return name, subprocess.run(["clang-tidy-14", "--quiet", "-p", str(database), name], cwd=ROOT, capture_output=True, text=True)

    failed = 0
    files = chosen(sys.argv[1:])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, outcome in pool.map(run, files):
            if outcome.returncode != 0:
                failed += 1
                print(outcome.stdout)
            print(f"{'FAILED' if outcome.returncode else 'ok    '}  {name}", flush=True)
    print(f"{len(files) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
