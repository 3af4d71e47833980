#include "columnar/encoder.h"

#include "columnar/arrow_encoder.h"
#include "columnar/duck_call.h"
#include "columnar/parquet_encoder.h"
#include "columnar/piece_files.h"
#include "duckdb.hpp"
#include "duckdb/main/config.hpp"

namespace millrace::columnar {

struct Encoders::Impl {
  PieceFiles files;
  std::unique_ptr<duckdb::DuckDB> duckdb;
};

Encoders::Encoders() = default;
Encoders::~Encoders() = default;

Status Encoders::OpenDuckDb() {
  const std::lock_guard lock(mutex_);
  if (impl_) return Ok();
  return Guarded([&]() -> Status {
    auto impl = std::make_unique<Impl>();
    duckdb::DBConfig config;
    // Whoever wants the bytes is the one thread that makes them.
    config.SetOptionByName("threads", duckdb::Value::BIGINT(1));
    // One thread keeps the order; with this on, Parquet's row groups have no bound in bytes.
    config.SetOptionByName("preserve_insertion_order", duckdb::Value::BOOLEAN(false));
    config.SetOptionByName("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
    config.SetOptionByName("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
    config.SetOptionByName("disable_database_invalidation", duckdb::Value::BOOLEAN(true));
    impl->duckdb = std::make_unique<duckdb::DuckDB>(nullptr, &config);
    impl->files.Register(*impl->duckdb);
    impl_ = std::move(impl);
    return Ok();
  });
}

Result<std::unique_ptr<Encoder>> Encoders::Open(Format format, const rows::Schema& schema) {
  TRY(OpenDuckDb());
  return Guarded([&]() -> Result<std::unique_ptr<Encoder>> {
    auto connection = std::make_unique<duckdb::Connection>(*impl_->duckdb);
    if (format == Format::kParquet)
      return MakeParquetEncoder(std::move(connection), impl_->files, schema);
    return MakeArrowEncoder(std::move(connection), schema);
  });
}

}  // namespace millrace::columnar
