#include "pg/types.h"

#include <algorithm>

namespace millrace::pg {

namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;

constexpr int32_t kModifierOffset = 4;

// Types that only a name tells from others.
std::optional<uint32_t> OidOfAlias(std::string_view alias) {
  struct Named {
    std::string_view alias;
    uint32_t oid;
  };
  static constexpr Named kNamed[] = {{"pgoid", oid::kOid},
                                     {"pgchar", oid::kChar},
                                     {"JSON", oid::kJsonb},
                                     {"int2vector", oid::kInt2Vector},
                                     {"oidvector", oid::kOidVector}};
  for (const Named& named : kNamed) {
    if (named.alias == alias) return named.oid;
  }
  return std::nullopt;
}

uint32_t OidOf(const LogicalType& type) {
  if (type.HasAlias()) {
    if (const auto named = OidOfAlias(type.GetAlias())) return *named;
  }
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      return oid::kBool;
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::SMALLINT:
      return oid::kInt2;
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::INTEGER:
      return oid::kInt4;
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::BIGINT:
      return oid::kInt8;
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
    case LogicalTypeId::DECIMAL:
    case LogicalTypeId::BIGNUM:
      return oid::kNumeric;
    case LogicalTypeId::FLOAT:
      return oid::kFloat4;
    case LogicalTypeId::DOUBLE:
      return oid::kFloat8;
    case LogicalTypeId::BLOB:
      return oid::kBytea;
    case LogicalTypeId::DATE:
      return oid::kDate;
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIME_NS:
      return oid::kTime;
    case LogicalTypeId::TIME_TZ:
      return oid::kTimetz;
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
      return oid::kTimestamp;
    case LogicalTypeId::TIMESTAMP_TZ:
      return oid::kTimestamptz;
    case LogicalTypeId::INTERVAL:
      return oid::kInterval;
    case LogicalTypeId::UUID:
      return oid::kUuid;
    case LogicalTypeId::STRUCT:
    case LogicalTypeId::MAP:
    case LogicalTypeId::UNION:
      return oid::kJsonb;
    case LogicalTypeId::LIST:
    case LogicalTypeId::ARRAY: {
      const LogicalType& element = type.id() == LogicalTypeId::LIST
                                       ? duckdb::ListType::GetChildType(type)
                                       : duckdb::ArrayType::GetChildType(type);
      if (element.id() == LogicalTypeId::LIST || element.id() == LogicalTypeId::ARRAY)
        return oid::kJsonb;
      const BaseType* base = FindType(OidOf(element));
      return base != nullptr && base->array_oid != 0 ? base->array_oid : oid::kTextArray;
    }
    default:
      return oid::kText;
  }
}

}  // namespace

const std::vector<BaseType>& BaseTypes() {
  static const std::vector<BaseType> types = {
      {16, 1000, 1, "bool", "boolean", 'B', 'c', true},
      {17, 1001, -1, "bytea", "bytea", 'U', 'i', false},
      {18, 1002, 1, "char", "\"char\"", 'Z', 'c', true},
      {19, 1003, 64, "name", "name", 'S', 'c', false},
      {20, 1016, 8, "int8", "bigint", 'N', 'd', true},
      {21, 1005, 2, "int2", "smallint", 'N', 's', true},
      {22, 1006, -1, "int2vector", "int2vector", 'A', 'i', false},
      {23, 1007, 4, "int4", "integer", 'N', 'i', true},
      {24, 1008, 4, "regproc", "regproc", 'N', 'i', true},
      {25, 1009, -1, "text", "text", 'S', 'i', false},
      {26, 1028, 4, "oid", "oid", 'N', 'i', true},
      {28, 1011, 4, "xid", "xid", 'U', 'i', true},
      {30, 1013, -1, "oidvector", "oidvector", 'A', 'i', false},
      {114, 199, -1, "json", "json", 'U', 'i', false},
      {700, 1021, 4, "float4", "real", 'N', 'i', true},
      {701, 1022, 8, "float8", "double precision", 'N', 'd', true},
      {705, 0, -2, "unknown", "unknown", 'X', 'c', false},
      {1042, 1014, -1, "bpchar", "character", 'S', 'i', false},
      {1043, 1015, -1, "varchar", "character varying", 'S', 'i', false},
      {1082, 1182, 4, "date", "date", 'D', 'i', true},
      {1083, 1183, 8, "time", "time without time zone", 'D', 'd', true},
      {1114, 1115, 8, "timestamp", "timestamp without time zone", 'D', 'd', true},
      {1184, 1185, 8, "timestamptz", "timestamp with time zone", 'D', 'd', true},
      {1186, 1187, 16, "interval", "interval", 'T', 'd', false},
      {1266, 1270, 12, "timetz", "time with time zone", 'D', 'd', false},
      {1700, 1231, -1, "numeric", "numeric", 'N', 'i', false},
      {2205, 2210, 4, "regclass", "regclass", 'N', 'i', true},
      {2206, 2211, 4, "regtype", "regtype", 'N', 'i', true},
      {2278, 0, 4, "void", "void", 'P', 'i', true},
      {2950, 2951, 16, "uuid", "uuid", 'U', 'c', false},
      {3802, 3807, -1, "jsonb", "jsonb", 'U', 'i', false},
  };
  return types;
}

const BaseType* FindType(uint32_t oid) {
  const auto& types = BaseTypes();
  const auto found = std::find_if(types.begin(), types.end(),
                                  [&](const BaseType& type) { return type.oid == oid; });
  return found == types.end() ? nullptr : &*found;
}

const BaseType* ElementOf(uint32_t array_oid) {
  if (array_oid == 0) return nullptr;
  const auto& types = BaseTypes();
  const auto found = std::find_if(types.begin(), types.end(), [&](const BaseType& type) {
    return type.array_oid == array_oid;
  });
  return found == types.end() ? nullptr : &*found;
}

ColumnType TypeOf(const LogicalType& type) {
  ColumnType column;
  column.oid = OidOf(type);
  const BaseType* base = FindType(column.oid);
  column.length = base == nullptr ? int16_t{-1} : base->length;
  if (type.id() == LogicalTypeId::DECIMAL) {
    column.modifier = (static_cast<int32_t>(duckdb::DecimalType::GetWidth(type)) << 16 |
                       static_cast<int32_t>(duckdb::DecimalType::GetScale(type))) +
                      kModifierOffset;
  }
  return column;
}

std::optional<LogicalType> DuckDbTypeOf(uint32_t oid) {
  if (const BaseType* element = ElementOf(oid)) {
    const auto type = DuckDbTypeOf(element->oid);
    if (!type) return std::nullopt;
    return LogicalType::LIST(*type);
  }
  switch (oid) {
    case oid::kBool:
      return LogicalType::BOOLEAN;
    case oid::kBytea:
      return LogicalType::BLOB;
    case oid::kInt2:
      return LogicalType::SMALLINT;
    case oid::kInt4:
      return LogicalType::INTEGER;
    case oid::kInt8:
    case oid::kOid:
    case oid::kXid:
    case oid::kRegproc:
    case oid::kRegclass:
    case oid::kRegtype:
      return LogicalType::BIGINT;
    case oid::kFloat4:
      return LogicalType::FLOAT;
    case oid::kFloat8:
      return LogicalType::DOUBLE;
    case oid::kNumeric:  // its width is the value's own
      return LogicalType::DECIMAL(38, 10);
    case oid::kText:
    case oid::kVarchar:
    case oid::kBpchar:
    case oid::kName:
    case oid::kChar:
      return LogicalType::VARCHAR;
    case oid::kJson:
    case oid::kJsonb:
      return LogicalType::JSON();
    case oid::kDate:
      return LogicalType::DATE;
    case oid::kTime:
      return LogicalType::TIME;
    case oid::kTimetz:
      return LogicalType::TIME_TZ;
    case oid::kTimestamp:
      return LogicalType::TIMESTAMP;
    case oid::kTimestamptz:
      return LogicalType::TIMESTAMP_TZ;
    case oid::kInterval:
      return LogicalType::INTERVAL;
    case oid::kUuid:
      return LogicalType::UUID;
    default:
      return std::nullopt;
  }
}

}  // namespace millrace::pg
