#include "runtime/endpoint_pages.h"

#include <algorithm>

#include "base/coding.h"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/keyword_helper.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "runtime/keyed_lookup.h"
#include "runtime/page_cursor.h"

namespace millrace::runtime {
namespace {

using duckdb::ExpressionType;
using duckdb::ParsedExpression;
using ParameterValues = std::map<std::string, duckdb::Value>;

// Which column of the answer an expression of the ORDER BY stands for.
class OrderedColumn {
 public:
  OrderedColumn(const duckdb::QueryNode& node, const rows::Schema& schema)
      : schema_(schema),
        select_(node.type == duckdb::QueryNodeType::SELECT_NODE ? &node.Cast<duckdb::SelectNode>()
                                                                : nullptr) {}

  std::optional<size_t> Find(const ParsedExpression& expression) const {
    if (expression.type == ExpressionType::VALUE_CONSTANT) {
      // ORDER BY 2.
      duckdb::Value value = expression.Cast<duckdb::ConstantExpression>().value;
      if (value.IsNull() || !value.type().IsIntegral()) return std::nullopt;
      const auto place = value.GetValue<int64_t>();
      if (place < 1 || place > static_cast<int64_t>(schema_.columns.size())) return std::nullopt;
      return static_cast<size_t>(place - 1);
    }
    // A plain name is that of a column of the answer before it is anything else's.
    if (expression.type == ExpressionType::COLUMN_REF) {
      const auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
      if (names.size() == 1) {
        const auto column = Named(names[0]);
        if (column) return column;
      }
    }
    return Selected(expression);
  }

 private:
  // nullopt also where several have the name.
  std::optional<size_t> Named(const std::string& name) const {
    std::optional<size_t> found;
    for (size_t i = 0; i < schema_.columns.size(); ++i) {
      if (!rows::EqualNames(schema_.columns[i].name, name)) continue;
      if (found) return std::nullopt;
      found = i;
    }
    return found;
  }

  // What is selected as it is ordered by. Behind a * nobody counts.
  std::optional<size_t> Selected(const ParsedExpression& expression) const {
    if (select_ == nullptr) return std::nullopt;
    for (size_t i = 0; i < select_->select_list.size(); ++i) {
      const ParsedExpression& selected = *select_->select_list[i];
      if (selected.type == ExpressionType::STAR) return std::nullopt;
      if (selected.Equals(expression)) return i;
    }
    return std::nullopt;
  }

  const rows::Schema& schema_;
  const duckdb::SelectNode* select_;
};

// The SELECT of one page. Columns of the answer are c0, c1, … in it, the hash of a row is h.
class PageQuery {
 public:
  PageQuery(const catalog::EndpointDefinition& endpoint, const rows::Schema& schema,
            const std::vector<PageOrder>& order)
      : endpoint_(endpoint), schema_(schema), order_(order) {
    for (const auto& parameter : endpoint.parameters) {
      while (rows::LowerName(parameter.name).starts_with(prefix_)) prefix_ += '_';
    }
  }

  // Adds the values of its own parameters.
  std::string Text(const PageCursor* cursor, size_t rows_max, ParameterValues& values) const {
    std::string columns, outputs;
    for (size_t i = 0; i < schema_.columns.size(); ++i) {
      columns += fmt::format("{}c{}", i > 0 ? ", " : "", i);
      outputs += fmt::format("c{} AS {}, ", i,
                             duckdb::KeywordHelper::WriteQuoted(schema_.columns[i].name, '"'));
    }
    std::string condition;
    if (cursor != nullptr) {
      for (size_t i = 0; i < order_.size(); ++i) {
        if (!cursor->order[i].IsNull()) values[Name(i)] = cursor->order[i];
      }
      values[Name(order_.size())] = duckdb::Value::UBIGINT(cursor->row_hash);
      outputs += fmt::format("{} AS same, ", Same(*cursor));
      condition = "WHERE " + AtOrAfter(*cursor, 0);
    }
    // The SELECT may end with a comment.
    return fmt::format(
        "SELECT {}h FROM (SELECT *, hash({}) AS h FROM ({}\n) AS answer({})) {} ORDER BY {} "
        "LIMIT {}",
        outputs, columns, endpoint_.select, columns, condition, Order(), rows_max);
  }

 private:
  std::string Name(size_t i) const { return fmt::format("{}{}", prefix_, i); }
  std::string Parameter(size_t i) const { return "$" + Name(i); }

  std::string Equal(const PageCursor& cursor, size_t i) const {
    if (i == order_.size()) return "h = " + Parameter(i);
    if (cursor.order[i].IsNull()) return fmt::format("c{} IS NULL", order_[i].column);
    return fmt::format("c{} IS NOT DISTINCT FROM {}", order_[i].column, Parameter(i));
  }

  // The row of the cursor itself, or one like it.
  std::string Same(const PageCursor& cursor) const {
    std::string out = "(" + Equal(cursor, 0);
    for (size_t i = 1; i <= order_.size(); ++i) out += " AND " + Equal(cursor, i);
    return out + ")";
  }

  std::string After(const PageCursor& cursor, size_t i) const {
    const PageOrder& order = order_[i];
    if (cursor.order[i].IsNull())
      return order.nulls_first ? fmt::format("c{} IS NOT NULL", order.column) : "FALSE";
    std::string out =
        fmt::format("c{} {} {}", order.column, order.descending ? "<" : ">", Parameter(i));
    // A comparison with NULL is none.
    if (order.nulls_first) return fmt::format("coalesce({}, FALSE)", out);
    return fmt::format("coalesce({}, TRUE)", out);
  }

  // Of the columns from the i-th on, those before it being equal.
  std::string AtOrAfter(const PageCursor& cursor, size_t i) const {
    if (i == order_.size()) return "h >= " + Parameter(i);
    return fmt::format("({} OR ({} AND {}))", After(cursor, i), Equal(cursor, i),
                       AtOrAfter(cursor, i + 1));
  }

  std::string Order() const {
    std::string out;
    for (const PageOrder& order : order_) {
      out += fmt::format("c{} {} NULLS {}, ", order.column, order.descending ? "DESC" : "ASC",
                         order.nulls_first ? "FIRST" : "LAST");
    }
    return out + "h";
  }

  const catalog::EndpointDefinition& endpoint_;
  const rows::Schema& schema_;
  const std::vector<PageOrder>& order_;
  std::string prefix_ = "page";
};

// What a cursor belongs to: it means nothing to another SELECT, or with other parameters.
uint64_t SubjectOf(const catalog::EndpointDefinition& endpoint, const rows::Schema& schema,
                   const ParameterValues& parameters) {
  std::string text;
  PutBytes(text, endpoint.select);
  for (const rows::Column& column : schema.columns) PutBytes(text, column.type.ToString());
  for (const auto& [name, value] : parameters) {
    PutBytes(text, name);
    PutBytes(text, value.ToSQLString());
  }
  return StableHash(text);
}

// The rows that the query gave, by their places.
class FoundRows {
 public:
  explicit FoundRows(const sql::QueryResult& result) {
    for (const auto& chunk : result.chunks) {
      for (size_t row = 0; row < chunk->size(); ++row) places_.emplace_back(chunk.get(), row);
    }
  }
  size_t size() const { return places_.size(); }
  duckdb::Value At(size_t row, size_t column) const {
    return places_[row].first->GetValue(column, places_[row].second);
  }
  // Copies `count` of them, without the columns beyond those of `types`.
  std::vector<std::shared_ptr<duckdb::DataChunk>> Copy(size_t first, size_t count,
                                                       const rows::Types& types) const {
    std::vector<std::shared_ptr<duckdb::DataChunk>> chunks;
    for (size_t begin = 0; begin < count; begin += STANDARD_VECTOR_SIZE) {
      const size_t size = std::min<size_t>(STANDARD_VECTOR_SIZE, count - begin);
      auto chunk = std::make_shared<duckdb::DataChunk>();
      chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types);
      for (size_t i = 0; i < size; ++i) {
        const auto& [from, row] = places_[first + begin + i];
        for (size_t column = 0; column < types.size(); ++column)
          duckdb::VectorOperations::Copy(from->data[column], chunk->data[column], row + 1, row, i);
      }
      chunk->SetCardinality(size);
      chunks.push_back(std::move(chunk));
    }
    return chunks;
  }

 private:
  std::vector<std::pair<duckdb::DataChunk*, size_t>> places_;
};

// The cursor that stands at a row, as if it were the only one like it.
PageCursor CursorAt(const FoundRows& found, size_t row, const std::vector<PageOrder>& order,
                    size_t hash_column) {
  PageCursor cursor;
  for (const PageOrder& part : order) cursor.order.push_back(found.At(row, part.column));
  cursor.row_hash = found.At(row, hash_column).GetValue<uint64_t>();
  return cursor;
}

bool SamePlace(const PageCursor& a, const PageCursor& b) {
  return a.row_hash == b.row_hash && std::equal(a.order.begin(), a.order.end(), b.order.begin(),
                                                b.order.end(), [](const auto& x, const auto& y) {
                                                  return duckdb::Value::NotDistinctFrom(x, y);
                                                });
}

}  // namespace

Result<std::vector<PageOrder>> PageOrderOf(const catalog::EndpointDefinition& endpoint,
                                           const rows::Schema& schema) {
  const auto node = ParseSelect(endpoint.select);
  std::vector<PageOrder> parts;
  if (node != nullptr) {
    const OrderedColumn columns(*node, schema);
    for (const auto& modifier : node->modifiers) {
      if (modifier->type != duckdb::ResultModifierType::ORDER_MODIFIER) continue;
      for (const auto& order : modifier->Cast<duckdb::OrderModifier>().orders) {
        const auto column = columns.Find(*order.expression);
        if (!column) {
          return Error(
                     Code::kInvalidArgument,
                     "endpoint {} has no pages: it is ordered by {}, which is none of its columns",
                     Quoted(endpoint.name), order.expression->ToString())
              .Hint("select it too, under a name, and order by that");
        }
        parts.push_back({*column, order.type == duckdb::OrderType::DESCENDING,
                         order.null_order == duckdb::OrderByNullType::NULLS_FIRST});
      }
    }
  }
  if (!parts.empty()) return parts;
  return Error(Code::kInvalidArgument, "endpoint {} has no pages: its rows come in no order",
               Quoted(endpoint.name))
      .Hint("end its SELECT with ORDER BY");
}

Result<Page> AnswerPage(sql::Database& database, std::shared_ptr<const sql::Snapshot> snapshot,
                        const catalog::EndpointDefinition& endpoint,
                        const std::map<std::string, duckdb::Value>& parameters,
                        const PageRequest& request, const sql::QueryLimits& limits) {
  std::map<std::string, duckdb::LogicalType> declared;
  for (const auto& parameter : endpoint.parameters) declared[parameter.name] = parameter.type;
  TRY(const sql::Database::Bound bound,
      database.Bind(snapshot->catalog(), endpoint.select, declared,
                    {"", endpoint.select, 0, endpoint.select.size()}));
  const rows::Schema& schema = bound.schema;
  TRY(const std::vector<PageOrder> order, PageOrderOf(endpoint, schema));
  rows::Types order_types;
  for (const PageOrder& part : order) order_types.push_back(schema.columns[part.column].type);
  const uint64_t subject = SubjectOf(endpoint, schema, parameters);
  std::optional<PageCursor> cursor;
  if (!request.cursor.empty()) {
    TRY(cursor, DecodeCursor(request.cursor, order_types, subject));
  }

  // One more than asked for: whether there is a next page.
  const size_t wanted = request.rows_max + 1 + (cursor ? cursor->repeated : 0);
  ParameterValues values = parameters;
  const std::string text =
      PageQuery(endpoint, schema, order).Text(cursor ? &*cursor : nullptr, wanted, values);
  TRY(sql::QueryResult result, database.Query(std::move(snapshot), text, values, limits));
  const FoundRows found(result);
  const size_t hash_column = result.schema.columns.size() - 1;
  size_t known = 0;  // rows like that of the cursor, which the client has
  if (cursor) {
    const size_t same_column = schema.columns.size();
    while (known < std::min(found.size(), cursor->repeated) &&
           found.At(known, same_column).GetValue<bool>())
      ++known;
  }
  const size_t count = std::min(found.size() - known, request.rows_max);
  Page page;
  page.rows.schema = schema;
  page.rows.step = result.step;
  page.rows.chunks = found.Copy(known, count, schema.types());
  if (known + count == found.size()) return page;
  PageCursor last = CursorAt(found, known + count - 1, order, hash_column);
  // Those before it that are like it; over the page's beginning too, where they are known.
  for (size_t row = known + count - 1; row-- > 0; ++last.repeated) {
    if (!SamePlace(CursorAt(found, row, order, hash_column), last)) break;
  }
  TRY(page.next, EncodeCursor(last, order_types, subject));
  return page;
}

}  // namespace millrace::runtime
