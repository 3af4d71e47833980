#pragma once

#include <string>

namespace millrace::cli {

inline constexpr char kVersion[] = "0.1.0";
// "millrace 0.1.0 (DuckDB v1.5.6, RocksDB 7.8.3)"
std::string VersionText();

}  // namespace millrace::cli
