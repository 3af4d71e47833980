#!/usr/bin/env bash
# Installs what Millrace is built and tested with, on Debian 12: Debian packages and a pinned DuckDB.
# Does nothing where all is there. Run as root or with sudo; without either it prints what to run.
#   tools/setup.sh          what the build and the demo need
#   tools/setup.sh --test   also what the tests need
#   tools/setup.sh --test-all   also what only make test-all needs
set -euo pipefail

packages=(g++ cmake ninja-build ccache mold make pkg-config python3 python3-pip curl zstd
  libboost-dev libcli11-dev libfmt-dev libjemalloc-dev liblz4-dev libprotobuf-dev libprotoc-dev libreadline-dev librocksdb-dev
  libsimdjson-dev libsnappy-dev libspdlog-dev libssl-dev libtomlplusplus-dev libzstd-dev prometheus-cpp-dev zlib1g-dev)
[ "${1:-}" != --test-all ] || packages+=(chromium)
if [[ "${1:-}" = --test* ]]; then
  packages+=(libgtest-dev libgmock-dev python3-pytest openssl clang-format-14 clang-tidy-14 wrk kcat postgresql-15)
  command -v javac >/dev/null || packages+=(openjdk-17-jdk-headless)
  command -v mvn >/dev/null || packages+=(maven)
  command -v go >/dev/null || packages+=(golang-go)
fi
command -v npm >/dev/null || packages+=(npm)

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  install="apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold ${missing[*]}"
  if [ "$(id -u)" = 0 ]; then as_root=(env); elif sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; }; then as_root=(sudo); else
    echo "Some Debian packages are missing, and this is neither root nor sudo. Please run:" >&2
    echo "  apt-get update && $install" >&2
    exit 1
  fi
  echo "setup: installing ${#missing[@]} Debian packages" >&2
  # PostgreSQL is there for the tests, which start one of their own, and is no server of this machine.
  clusters=/etc/postgresql-common/createcluster.conf
  if [[ " ${missing[*]} " = *" postgresql-15 "* && ! -e $clusters ]]; then
    "${as_root[@]}" mkdir -p "${clusters%/*}"
    echo 'create_main_cluster = false' | "${as_root[@]}" tee $clusters >/dev/null
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null
fi

# DuckDB: the official shared library comes in its Node.js package, the headers in the source package of its
# Python client. Both are of one version and held to their digests.
version=1.5.6
library_package=@duckdb/node-bindings-linux-x64@1.5.6-r.1
library_sha256=1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff
headers_sha256=166a91dbfacfc0c9f08cc76c0243cb6d3d4296bfab5bad72a3cfb63140a5b7c8
deps=${MILLRACE_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/deps}
target=$deps/duckdb-$version
if [ ! -e "$target/complete" ]; then
  [ "$(uname -m)" = x86_64 ] || { echo "setup: DuckDB is pinned for x86_64 only; this machine is $(uname -m)" >&2; exit 1; }
  echo "setup: getting DuckDB $version" >&2
  mkdir -p "$deps"
  work=$(mktemp -d "$deps/.duckdb.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && npm pack --silent "$library_package" >/dev/null \
    && python3 -m pip download -q --no-deps --no-binary duckdb "duckdb==$version" >/dev/null)
  echo "$library_sha256  $(echo "$work"/duckdb-node-bindings-*.tgz)" | sha256sum --check --quiet
  echo "$headers_sha256  $work/duckdb-$version.tar.gz" | sha256sum --check --quiet
  mkdir -p "$work/out/lib" "$work/out/include"
  tar -xzf "$work"/duckdb-node-bindings-*.tgz -C "$work/out/lib" --strip-components=1 package/libduckdb.so
  tar -xzf "$work/duckdb-$version.tar.gz" -C "$work/out/include" --strip-components=5 \
    "duckdb-$version/external/duckdb/src/include"
  touch "$work/out/complete"
  rm -rf "$target"
  mv "$work/out" "$target"
fi

# nanoarrow, which writes Arrow's IPC streams: its source package for Python has the C sources, and those of flatcc,
# which it needs.
nanoarrow=$deps/nanoarrow-0.9.0
if [ ! -e "$nanoarrow/complete" ]; then
  echo "setup: getting nanoarrow" >&2
  rm -rf "$nanoarrow"
  mkdir -p "$nanoarrow/include/nanoarrow"
  "$(dirname "$0")/get_sdist.py" nanoarrow 0.9.0 1ce15bbed8532839347faa78824c5dbd3769bff60661003e34c6fba5dd881bd3 "$nanoarrow/sdist.tar.gz"
  tar -xzf "$nanoarrow/sdist.tar.gz" -C "$nanoarrow" --strip-components=2 --wildcards '*/subprojects/arrow-nanoarrow/src' '*/subprojects/flatcc-*'
  mv "$nanoarrow"/flatcc-* "$nanoarrow/flatcc"
  sed -e 's/@NANOARROW_VERSION_MAJOR@/0/; s/@NANOARROW_VERSION_MINOR@/9/; s/@NANOARROW_VERSION_PATCH@/0/' \
    -e 's/@NANOARROW_VERSION@/0.9.0/; s/@NANOARROW_NAMESPACE_DEFINE@//' \
    "$nanoarrow/arrow-nanoarrow/src/nanoarrow/nanoarrow_config.h.in" >"$nanoarrow/include/nanoarrow/nanoarrow_config.h"
  rm "$nanoarrow/sdist.tar.gz"
  touch "$nanoarrow/complete"
fi

# ONNX Runtime, which scores models: the shared library of its package for Python, held to its digest. Its C header is in
# third_party/onnxruntime.
onnxruntime=$deps/onnxruntime-1.26.0
onnxruntime_sha256=11a8df4dcfe9ad5ff0bd71a7571dbed019fabc7594676c89fe8b86ea029c246f
if [ ! -e "$onnxruntime/complete" ]; then
  echo "setup: getting ONNX Runtime 1.26.0" >&2
  rm -rf "$onnxruntime"
  mkdir -p "$onnxruntime"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 \
    --platform manylinux_2_28_x86_64 --dest "$onnxruntime" onnxruntime==1.26.0 >/dev/null
  echo "$onnxruntime_sha256  $(echo "$onnxruntime"/onnxruntime-*.whl)" | sha256sum --check --quiet
  (cd "$onnxruntime" && python3 -m zipfile -e onnxruntime-*.whl unpacked \
    && mv unpacked/onnxruntime/capi/libonnxruntime.so.1.26.0 libonnxruntime.so.1 \
    && mv unpacked/onnxruntime/LICENSE unpacked/onnxruntime/ThirdPartyNotices.txt . && rm -r unpacked onnxruntime-*.whl)
  touch "$onnxruntime/complete"
fi

# Kafka's clients, for the tests that talk to the Kafka listener. Go's come with the first build of the test's program.
# get_jars FOLDER ARTIFACT…: those of org.apache.kafka, in the version that the folder's name ends with, and what they need.
get_jars() {
  local jars="$deps/$1" version="${1##*-}" dependencies="" artifact
  [ -e "$jars/complete" ] && return
  echo "setup: getting $1" >&2
  rm -rf "$jars"
  mkdir -p "$jars"
  shift
  for artifact in "$@"; do
    dependencies+="<dependency><groupId>org.apache.kafka</groupId><artifactId>$artifact</artifactId><version>$version</version>
      <exclusions><exclusion><groupId>org.slf4j</groupId><artifactId>slf4j-reload4j</artifactId></exclusion></exclusions></dependency>"
  done
  cat >"$jars/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
 <modelVersion>4.0.0</modelVersion><groupId>millrace</groupId><artifactId>clients</artifactId><version>1</version>
 <dependencies>
  $dependencies
  <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>1.7.36</version></dependency>
 </dependencies>
</project>
POM
  mvn -q -f "$jars/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars" >&2
  touch "$jars/complete"
}
# Packages of a list, in a folder of their own.
get_python_clients() {
  local clients="$deps/$1"
  [ -e "$clients/complete" ] && return
  echo "setup: getting the Python packages of tools/$2" >&2
  rm -rf "$clients"
  python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --target "$clients" --no-deps \
    -r "$(dirname "$0")/$2"
  touch "$clients/complete"
}
if [[ "${1:-}" = --test* ]]; then
  get_python_clients python-clients-7 python_clients.txt
  get_python_clients pg-clients-1 pg_clients.txt
  jdbc="$deps/jdbc-42.7.4"
  if [ ! -e "$jdbc/complete" ]; then
    echo "setup: getting PostgreSQL's JDBC driver" >&2
    mvn -q dependency:copy -Dartifact=org.postgresql:postgresql:42.7.4 -DoutputDirectory="$jdbc" >&2
    touch "$jdbc/complete"
  fi
  kafkajs="$deps/kafkajs-2.2.4"
  if [ ! -e "$kafkajs/complete" ]; then
    echo "setup: getting kafkajs" >&2
    mkdir -p "$kafkajs"
    npm install --silent --no-audit --no-fund --prefix "$kafkajs" kafkajs@2.2.4 >/dev/null
    touch "$kafkajs/complete"
  fi
  get_jars kafka-clients-3.9.1 kafka-clients
  get_jars kafka-clients-4.1.1 kafka-clients
  # The command line tools, and Kafka Connect with its connectors for files.
  get_jars kafka-tools-3.9.1 kafka_2.13 kafka-tools connect-runtime connect-file
fi
