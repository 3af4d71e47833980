// SQL values as tensors and back: rows of vectors become the rows of a tensor. Not thread-safe.
// Internal to sql.
#pragma once

#include <vector>

#include "duckdb.hpp"
#include "models/tensor.h"

namespace millrace::sql {

// FLOAT of FP32 and FP16, VARCHAR of BYTES, …: of one element.
duckdb::LogicalType ElementSqlType(models::ElementType type);
// Elements of one row: the product of the shape behind its first dimension; -1: any number.
int64_t RowElements(const models::TensorSpec& spec);
// Of an output: the element's type where a row has one, else a list of them.
duckdb::LogicalType RowSqlType(const models::TensorSpec& spec);

// An argument's column, of ElementSqlType or a LIST of it.
class ColumnReader {
 public:
  ColumnReader(duckdb::Vector& vector, size_t rows);

  // Whether every row has one element, as is usual.
  bool AllSingle() const { return !is_list_ && elements_.validity.AllValid(); }
  // Of a list how many elements it has, else 1; -1: it is NULL, or has an element that is.
  int64_t ElementsOf(size_t row) const;
  // Puts the elements of the row at `at` and behind it into the tensor. REQUIRES: not NULL, and
  // MakeRoom has been called.
  void Put(size_t row, models::Tensor& tensor, size_t at) const;

 private:
  void PutElement(size_t from, models::Tensor& tensor, size_t to) const;

  bool is_list_;
  duckdb::UnifiedVectorFormat lists_;     // of a list
  duckdb::UnifiedVectorFormat elements_;  // else, the rows
};

// Room for all elements that the tensor's shape asks for.
void MakeRoom(models::Tensor& tensor);

// Puts row `from` of the tensor into row `to` of the vector, which is of RowSqlType.
void WriteRow(const models::Tensor& tensor, size_t from, duckdb::Vector& vector, size_t to);

}  // namespace millrace::sql
