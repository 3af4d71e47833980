#include "columnar/types.h"

#include "base/error.h"
#include "duckdb/common/types/decimal.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace millrace::columnar {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;

namespace {

duckdb::child_list_t<LogicalType> FieldsIn(Format format, const LogicalType& type) {
  duckdb::child_list_t<LogicalType> fields;
  for (const auto& [name, field] : duckdb::StructType::GetChildTypes(type))
    fields.emplace_back(name, TypeIn(format, field));
  return fields;
}

}  // namespace

LogicalType TypeIn(Format format, const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
      return LogicalType::DECIMAL(duckdb::Decimal::MAX_WIDTH_DECIMAL, 0);
    case LogicalTypeId::SQLNULL:
    case LogicalTypeId::ENUM:
    case LogicalTypeId::BIT:
    case LogicalTypeId::BIGNUM:
    case LogicalTypeId::TIME_TZ:
    case LogicalTypeId::UNION:
    case LogicalTypeId::VARIANT:
      return LogicalType::VARCHAR;
    case LogicalTypeId::INTERVAL:  // Parquet's has milliseconds
      return format == Format::kParquet ? LogicalType::VARCHAR : type;
    case LogicalTypeId::UUID:
    case LogicalTypeId::VARCHAR:  // JSON too
      return format == Format::kArrowStream ? LogicalType::VARCHAR : type;
    case LogicalTypeId::LIST:
      return LogicalType::LIST(TypeIn(format, duckdb::ListType::GetChildType(type)));
    case LogicalTypeId::ARRAY:
      return LogicalType::ARRAY(TypeIn(format, duckdb::ArrayType::GetChildType(type)),
                                duckdb::ArrayType::GetSize(type));
    case LogicalTypeId::MAP:
      return LogicalType::MAP(TypeIn(format, duckdb::MapType::KeyType(type)),
                              TypeIn(format, duckdb::MapType::ValueType(type)));
    case LogicalTypeId::STRUCT:
      return LogicalType::STRUCT(FieldsIn(format, type));
    default:
      return type;
  }
}

FormatCast::FormatCast(duckdb::ClientContext& context, Format format, const rows::Schema& schema)
    : context_(context), schema_(schema) {
  for (const rows::Column& column : schema.columns) types_.push_back(TypeIn(format, column.type));
  cast_.Initialize(duckdb::Allocator::DefaultAllocator(), types_);
}

Result<duckdb::DataChunk*> FormatCast::Cast(duckdb::DataChunk& rows) {
  cast_.Reset();
  for (size_t i = 0; i < types_.size(); ++i) {
    if (rows.data[i].GetType() == types_[i]) {
      cast_.data[i].Reference(rows.data[i]);
      continue;
    }
    duckdb::string problem;
    if (!duckdb::VectorOperations::TryCast(context_, rows.data[i], cast_.data[i], rows.size(),
                                           &problem, /*strict=*/false)) {
      return Error(Code::kInvalidArgument, "column {} cannot be written as {}: {}",
                   Quoted(schema_.columns[i].name), types_[i].ToString(), problem)
          .Hint("cast it in the query, as to VARCHAR");
    }
  }
  cast_.SetCardinality(rows.size());
  return &cast_;
}

}  // namespace millrace::columnar
