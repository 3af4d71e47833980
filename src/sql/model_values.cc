#include "sql/model_values.h"

#include <algorithm>

#include "base/check.h"

namespace millrace::sql {
namespace {

using duckdb::LogicalType;
using models::ElementType;
using models::Tensor;

void PutElement(const Tensor& tensor, size_t from, duckdb::Vector& vector, size_t to) {
  switch (tensor.type) {
    case ElementType::kText:
      duckdb::FlatVector::GetData<duckdb::string_t>(vector)[to] =
          duckdb::StringVector::AddStringOrBlob(vector, tensor.texts[from]);
      return;
    case ElementType::kFloat16:
      duckdb::FlatVector::GetData<float>(vector)[to] = models::FromHalf(tensor.At<uint16_t>(from));
      return;
    default: {
      const size_t size = models::BytesOf(tensor.type);
      std::memcpy(duckdb::FlatVector::GetData(vector) + to * size,
                  tensor.bytes.data() + from * size, size);
    }
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

void ColumnReader::Append(size_t row, Tensor& tensor) const {
  if (!is_list_) return AppendElement(elements_.sel->get_index(row), tensor);
  const auto at = lists_.sel->get_index(row);
  const auto list = duckdb::UnifiedVectorFormat::GetData<duckdb::list_entry_t>(lists_)[at];
  for (size_t i = 0; i < list.length; ++i)
    AppendElement(elements_.sel->get_index(list.offset + i), tensor);
}

void ColumnReader::AppendElement(size_t at, Tensor& tensor) const {
  switch (tensor.type) {
    case ElementType::kText:
      tensor.texts.push_back(
          duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(elements_)[at].GetString());
      return;
    case ElementType::kFloat16:
      tensor.Append(models::ToHalf(duckdb::UnifiedVectorFormat::GetData<float>(elements_)[at]));
      return;
    default: {
      const size_t size = models::BytesOf(tensor.type);
      tensor.bytes.append(reinterpret_cast<const char*>(elements_.data) + at * size, size);
    }
  }
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
