#!/usr/bin/env python3
"""Holds the code to its declared structure: every #include of another module is one that the module's CMakeLists.txt declares, modules are
declared bottom-up (so there are no cycles), every module has a README.md, every header a `#pragma once`, no file is empty or has more than
500 lines, and every header stands on its own: its .cc includes it first, and where it has none, the build compiles it alone.

    tools/check_structure.py            prints what is wrong, then `N passed, N failed`
    tools/check_structure.py --graph    prints the modules and what each may use
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
LINES_MAX = 500


def declared():
    """Modules in the order of the top CMakeLists.txt, each with what it declares."""
    order = re.search(r"foreach\(module ([^)]*)\)", (ROOT / "CMakeLists.txt").read_text()).group(1).split()
    modules = {}
    for name in order:
        lists = SRC / name / "CMakeLists.txt"
        if not lists.exists():
            continue
        call = re.search(r"millrace_module\((\w+)(.*?)\)", lists.read_text(), re.S)
        deps = re.search(r"DEPS\s+(.*?)(?:LIBS|DUCKDB|$)", call.group(2), re.S)
        modules[name] = deps.group(1).split() if deps else []
    return modules


def check(modules):
    failures = []
    checks = 0
    order = list(modules)
    for name, deps in modules.items():
        checks += 1
        for dep in deps:
            if dep not in modules or order.index(dep) >= order.index(name):
                failures.append(f"src/{name}/CMakeLists.txt: {dep} is unknown or not declared before {name}")
        if not (SRC / name / "README.md").exists():
            failures.append(f"src/{name}: no README.md")
        for path in sorted((SRC / name).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            checks += 1
            text = path.read_text()
            where = path.relative_to(ROOT)
            if not text.strip():
                failures.append(f"{where}: empty")
            if len(text.splitlines()) > LINES_MAX:
                failures.append(f"{where}: more than {LINES_MAX} lines")
            if path.suffix == ".cc" and path.with_suffix(".h").exists():
                first = re.search(r"^#include .*$", text, re.M)
                own = f'#include "{path.with_suffix(".h").relative_to(SRC)}"'
                if not first or first.group(0) != own:
                    failures.append(f"{where}: does not begin with {own}, which would show whether the header stands on its own")
            if "MILLRACE_MODELS" in text:
                failures.append(f"{where}: knows whether models are built: a build without them has all sources, and lacks the library only")
            if path.suffix == ".h" and "#pragma once" not in text:
                failures.append(f"{where}: no #pragma once")
            for number, line in enumerate(text.splitlines(), 1):
                include = re.match(r'#include "(\w+)/[^"]*"', line)
                if not include or include.group(1) not in modules:
                    continue
                other = include.group(1)
                if other != name and other not in deps:
                    failures.append(f"{where}:{number}: includes {other}, which {name} does not declare")
                if other != name and "/internal/" in line:
                    failures.append(f"{where}:{number}: includes the inside of {other}")
    for folder in sorted(path.name for path in SRC.iterdir() if path.is_dir()):
        checks += 1
        if folder not in modules:
            failures.append(f"src/{folder}: not declared in CMakeLists.txt")
    return checks, failures


def main():
    modules = declared()
    if "--graph" in sys.argv:
        for name, deps in modules.items():
            print(f"{name:10} → {' '.join(deps) or '–'}")
        return 0
    checks, failures = check(modules)
    for failure in failures:
        print(failure)
    print(f"{checks - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
