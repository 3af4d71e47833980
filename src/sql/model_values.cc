#include "sql/model_values.h"

#include <algorithm>

#include "base/check.h"

namespace millrace::sql {
namespace {

using duckdb::LogicalType;
using models::ElementType;
using models::Tensor;

// Of a size that the compiler knows: one move, no call.
template <size_t kSize>
void CopyElements(const void* from, size_t from_at, void* to, size_t to_at) {
  std::memcpy(static_cast<char*>(to) + to_at * kSize,
              static_cast<const char*>(from) + from_at * kSize, kSize);
}

void CopyElement(size_t size, const void* from, size_t from_at, void* to, size_t to_at) {
  switch (size) {
    case 1:
      return CopyElements<1>(from, from_at, to, to_at);
    case 2:
      return CopyElements<2>(from, from_at, to, to_at);
    case 4:
      return CopyElements<4>(from, from_at, to, to_at);
    default:
      return CopyElements<8>(from, from_at, to, to_at);
  }
}

void PutElement(const Tensor& tensor, size_t from, duckdb::Vector& vector, size_t to) {
  switch (tensor.type) {
    case ElementType::kText:
      duckdb::FlatVector::GetData<duckdb::string_t>(vector)[to] =
          duckdb::StringVector::AddStringOrBlob(vector, tensor.texts[from]);
      return;
    case ElementType::kFloat16:
      duckdb::FlatVector::GetData<float>(vector)[to] = models::FromHalf(tensor.At<uint16_t>(from));
      return;
    default:
      CopyElement(models::BytesOf(tensor.type), tensor.bytes.data(), from,
                  duckdb::FlatVector::GetData(vector), to);
  }
}

}  // namespace

LogicalType ElementSqlType(ElementType type) {
  switch (type) {
    case ElementType::kBool:
      return LogicalType::BOOLEAN;
    case ElementType::kInt8:
      return LogicalType::TINYINT;
    case ElementType::kInt16:
      return LogicalType::SMALLINT;
    case ElementType::kInt32:
      return LogicalType::INTEGER;
    case ElementType::kInt64:
      return LogicalType::BIGINT;
    case ElementType::kUint8:
      return LogicalType::UTINYINT;
    case ElementType::kUint16:
      return LogicalType::USMALLINT;
    case ElementType::kUint32:
      return LogicalType::UINTEGER;
    case ElementType::kUint64:
      return LogicalType::UBIGINT;
    case ElementType::kFloat16:
    case ElementType::kFloat32:
      return LogicalType::FLOAT;
    case ElementType::kFloat64:
      return LogicalType::DOUBLE;
    case ElementType::kText:
      break;
  }
  return LogicalType::VARCHAR;
}

int64_t RowElements(const models::TensorSpec& spec) {
  int64_t count = 1;
  for (size_t i = 1; i < spec.shape.size(); ++i) {
    if (spec.shape[i] < 0) return -1;
    count *= spec.shape[i];
  }
  return count;
}

LogicalType RowSqlType(const models::TensorSpec& spec) {
  const LogicalType element = ElementSqlType(spec.type);
  return RowElements(spec) == 1 ? element : LogicalType::LIST(element);
}

ColumnReader::ColumnReader(duckdb::Vector& vector, size_t rows)
    : is_list_(vector.GetType().id() == duckdb::LogicalTypeId::LIST) {
  if (!is_list_) {
    vector.ToUnifiedFormat(rows, elements_);
    return;
  }
  vector.ToUnifiedFormat(rows, lists_);
  duckdb::ListVector::GetEntry(vector).ToUnifiedFormat(duckdb::ListVector::GetListSize(vector),
                                                       elements_);
}

int64_t ColumnReader::ElementsOf(size_t row) const {
  if (!is_list_) return elements_.validity.RowIsValid(elements_.sel->get_index(row)) ? 1 : -1;
  const auto at = lists_.sel->get_index(row);
  if (!lists_.validity.RowIsValid(at)) return -1;
  const auto list = duckdb::UnifiedVectorFormat::GetData<duckdb::list_entry_t>(lists_)[at];
  for (size_t i = 0; i < list.length; ++i) {
    if (!elements_.validity.RowIsValid(elements_.sel->get_index(list.offset + i))) return -1;
  }
  return static_cast<int64_t>(list.length);
}

void ColumnReader::Put(size_t row, Tensor& tensor, size_t at) const {
  if (!is_list_) return PutElement(elements_.sel->get_index(row), tensor, at);
  const auto list = duckdb::UnifiedVectorFormat::GetData<duckdb::list_entry_t>(
      lists_)[lists_.sel->get_index(row)];
  for (size_t i = 0; i < list.length; ++i)
    PutElement(elements_.sel->get_index(list.offset + i), tensor, at + i);
}

void ColumnReader::PutElement(size_t from, Tensor& tensor, size_t to) const {
  if (tensor.type == ElementType::kText) {
    tensor.texts[to] =
        duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(elements_)[from].GetString();
  } else if (tensor.type == ElementType::kFloat16) {
    const uint16_t half =
        models::ToHalf(duckdb::UnifiedVectorFormat::GetData<float>(elements_)[from]);
    CopyElements<2>(&half, 0, tensor.bytes.data(), to);
  } else {
    CopyElement(models::BytesOf(tensor.type), elements_.data, from, tensor.bytes.data(), to);
  }
}

void MakeRoom(Tensor& tensor) {
  const size_t count = tensor.elements();
  tensor.bytes.resize(count * models::BytesOf(tensor.type));
  if (tensor.type == ElementType::kText) tensor.texts.resize(count);
}

void WriteRow(const Tensor& tensor, size_t from, duckdb::Vector& vector, size_t to) {
  CHECK(!tensor.shape.empty() && tensor.shape[0] > 0);
  const size_t width = tensor.elements() / static_cast<size_t>(tensor.shape[0]);
  if (vector.GetType().id() != duckdb::LogicalTypeId::LIST) {
    PutElement(tensor, from * width, vector, to);
    return;
  }
  const size_t begin = duckdb::ListVector::GetListSize(vector);
  duckdb::ListVector::Reserve(vector, begin + width);
  duckdb::Vector& elements = duckdb::ListVector::GetEntry(vector);
  for (size_t i = 0; i < width; ++i) PutElement(tensor, from * width + i, elements, begin + i);
  duckdb::ListVector::SetListSize(vector, begin + width);
  duckdb::FlatVector::GetData<duckdb::list_entry_t>(vector)[to] = {begin, width};
}

}  // namespace millrace::sql
