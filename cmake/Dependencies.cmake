# Everything that Millrace is built from. tools/setup.sh installs it; versions are in docs/dependencies.md.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(simdjson REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(PROTOBUF REQUIRED IMPORTED_TARGET protobuf)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
find_library(SNAPPY_LIBRARY snappy REQUIRED)
pkg_check_modules(TOMLPP REQUIRED IMPORTED_TARGET tomlplusplus)
find_library(ROCKSDB_LIBRARY rocksdb REQUIRED)
find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)

add_library(rocksdb INTERFACE)
target_link_libraries(rocksdb INTERFACE ${ROCKSDB_LIBRARY})

# DuckDB: the official shared library and the headers of exactly the same version, see tools/setup.sh.
set(MILLRACE_DUCKDB_VERSION 1.5.6)
if(DEFINED ENV{MILLRACE_DEPS})
  set(MILLRACE_DEPS $ENV{MILLRACE_DEPS})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(MILLRACE_DEPS $ENV{XDG_CACHE_HOME}/millrace/deps)
else()
  set(MILLRACE_DEPS $ENV{HOME}/.cache/millrace/deps)
endif()
set(MILLRACE_DUCKDB_DIR ${MILLRACE_DEPS}/duckdb-${MILLRACE_DUCKDB_VERSION})
if(NOT EXISTS ${MILLRACE_DUCKDB_DIR}/lib/libduckdb.so)
  message(FATAL_ERROR "DuckDB ${MILLRACE_DUCKDB_VERSION} is not in ${MILLRACE_DUCKDB_DIR}: run tools/setup.sh")
endif()
add_library(duckdb SHARED IMPORTED)
set_target_properties(duckdb PROPERTIES
  IMPORTED_LOCATION ${CMAKE_BINARY_DIR}/lib/libduckdb.so
  IMPORTED_NO_SONAME OFF
  INTERFACE_INCLUDE_DIRECTORIES ${MILLRACE_DUCKDB_DIR}/include
  INTERFACE_COMPILE_DEFINITIONS MILLRACE_DUCKDB_VERSION="v${MILLRACE_DUCKDB_VERSION}")
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
file(COPY_FILE ${MILLRACE_DUCKDB_DIR}/lib/libduckdb.so ${CMAKE_BINARY_DIR}/lib/libduckdb.so ONLY_IF_DIFFERENT)
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)

# nanoarrow with its IPC writer, and the runtime of flatcc that it needs, from their sources: Debian 12 has neither.
set(NANOARROW_DIR ${MILLRACE_DEPS}/nanoarrow-0.9.0)
if(NOT EXISTS ${NANOARROW_DIR}/complete)
  message(FATAL_ERROR "nanoarrow 0.9.0 is not in ${NANOARROW_DIR}: run tools/setup.sh")
endif()
set(NANOARROW_SOURCES ${NANOARROW_DIR}/arrow-nanoarrow/src/nanoarrow)
add_library(nanoarrow STATIC
  ${NANOARROW_SOURCES}/common/array.c ${NANOARROW_SOURCES}/common/schema.c ${NANOARROW_SOURCES}/common/utils.c
  ${NANOARROW_SOURCES}/ipc/encoder.c ${NANOARROW_SOURCES}/ipc/writer.c ${NANOARROW_SOURCES}/ipc/decoder.c
  ${NANOARROW_SOURCES}/ipc/codecs.c ${NANOARROW_DIR}/flatcc/src/runtime/verifier.c
  ${NANOARROW_DIR}/flatcc/src/runtime/builder.c ${NANOARROW_DIR}/flatcc/src/runtime/emitter.c
  ${NANOARROW_DIR}/flatcc/src/runtime/refmap.c)
target_include_directories(nanoarrow SYSTEM PUBLIC ${NANOARROW_DIR}/include ${NANOARROW_DIR}/arrow-nanoarrow/src
                                            PRIVATE ${NANOARROW_DIR}/flatcc/include)
target_compile_options(nanoarrow PRIVATE -O2 -w)
set_target_properties(nanoarrow PROPERTIES UNITY_BUILD OFF C_STANDARD 99)

# ONNX Runtime, for models: loaded when one is first used (src/models/onnx_runtime.cc), so nothing is linked with it.
if(MILLRACE_MODELS)
  set(ONNXRUNTIME_LIBRARY ${MILLRACE_DEPS}/onnxruntime-1.26.0/libonnxruntime.so.1)
  if(NOT EXISTS ${ONNXRUNTIME_LIBRARY})
    message(FATAL_ERROR "ONNX Runtime 1.26.0 is not in ${ONNXRUNTIME_LIBRARY}: run tools/setup.sh, or build without models: -DMILLRACE_MODELS=OFF")
  endif()
  file(COPY_FILE ${ONNXRUNTIME_LIBRARY} ${CMAKE_BINARY_DIR}/lib/libonnxruntime.so.1 ONLY_IF_DIFFERENT)
else()
  file(REMOVE ${CMAKE_BINARY_DIR}/lib/libonnxruntime.so.1)  # of an earlier build in this folder
endif()
