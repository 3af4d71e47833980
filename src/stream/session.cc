#include "stream/session.h"

namespace millrace::stream {
namespace {

constexpr const char* kSettings[] = {
    "SET TimeZone = 'UTC'",
    "SET Calendar = 'gregorian'",
    "SET default_collation = ''",
    "SET integer_division = false",
};

}  // namespace

Result<std::unique_ptr<duckdb::Connection>> OpenSession(duckdb::DatabaseInstance& database) {
  try {
    auto connection = std::make_unique<duckdb::Connection>(database);
    for (const char* setting : kSettings) {
      auto done = connection->Query(setting);
      if (done->HasError()) return Error(Code::kInternal, "{}: {}", setting, done->GetError());
    }
    return connection;
  } catch (const std::exception& exception) {
    return Error(Code::kInternal, "open a connection of a worker: {}",
                 duckdb::ErrorData(exception).RawMessage());
  }
}

}  // namespace millrace::stream
