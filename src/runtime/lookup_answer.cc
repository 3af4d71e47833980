#include "runtime/lookup_answer.h"

#include <algorithm>

#include "base/check.h"
#include "rows/key.h"
#include "sql/parameter_value.h"

namespace millrace::runtime {

namespace {

using Values = std::vector<duckdb::Value>;

// What may be read on an I/O thread.
constexpr size_t kQuickKeysMax = 16;
constexpr int64_t kQuickRowsMax = 256;

// A look-up with the values that it is asked with.
class Answer {
 public:
  Answer(const KeyedLookup& lookup, const LookupValues& values, state::Step step,
         const std::function<Status()>& go_on)
      : lookup_(lookup),
        content_(*lookup.relation->content),
        values_(values),
        step_(step),
        go_on_(go_on),
        found_(content_.types()) {}

  Result<std::optional<sql::QueryResult>> Run() {
    std::optional<sql::QueryResult> none;
    if (!TakeValues()) return none;
    if (!nothing_) {
      const std::vector<std::string> keys = EncodedKeys();
      TRY(const bool read,
          lookup_.path == KeyedLookup::Path::kKeys ? ReadKeys(keys) : ReadRanges(keys));
      if (!read) return none;
    }
    return std::optional(Rows());
  }

 private:
  // In the parameter's type; nullopt: it has none, or one that does not fit.
  std::optional<duckdb::Value> ValueOf(const std::string& parameter) const {
    const auto given = values_.find(parameter);
    if (given == values_.end()) return std::nullopt;
    const duckdb::LogicalType& type = lookup_.parameters.at(parameter);
    duckdb::Value value = sql::InExpectedType(given->second, type);
    if (value.type() != type) return std::nullopt;
    return value;
  }
  std::optional<duckdb::Value> ValueOf(const KeyedLookup::Operand& operand) const {
    return operand.parameter.empty() ? std::optional(operand.constant) : ValueOf(operand.parameter);
  }

  // False: DuckDB has to answer.
  bool TakeValues() {
    size_t keys = 1;
    for (const KeyedLookup::Equal& equal : lookup_.equals) {
      Values values;
      for (const KeyedLookup::Operand& operand : equal.any_of) {
        auto value = ValueOf(operand);
        if (!value) return false;
        if (value->IsNull()) continue;  // nothing equals NULL
        if (!equal.of_list) {
          values.push_back(*std::move(value));
          continue;
        }
        for (const duckdb::Value& element : duckdb::ListValue::GetChildren(*value)) {
          if (!element.IsNull()) values.push_back(element);
        }
      }
      nothing_ = nothing_ || values.empty();
      keys *= values.size();
      if (keys > kLookupKeysMax) return false;
      equals_.push_back(std::move(values));
    }
    return (!lookup_.range ||
            (TakeBound(lookup_.range->low, low_) && TakeBound(lookup_.range->high, high_))) &&
           TakeLimit();
  }

  bool TakeBound(const std::optional<KeyedLookup::Bound>& bound, std::optional<std::string>& key) {
    if (!bound) return true;
    const auto value = ValueOf(bound->operand);
    if (!value) return false;
    if (value->IsNull()) {
      nothing_ = true;  // nothing is above or below NULL
    } else {
      key = KeyOf(*value);
    }
    return true;
  }

  bool TakeLimit() {
    limit_ = lookup_.limit;
    if (lookup_.limit_parameter.empty()) return true;
    const auto value = ValueOf(lookup_.limit_parameter);
    if (!value) return false;
    if (!value->IsNull()) limit_ = value->GetValue<int64_t>();
    return !limit_ || *limit_ >= 0;
  }

  static std::string KeyOf(const duckdb::Value& value) {
    duckdb::DataChunk chunk;
    rows::MakeRoom(chunk, {value.type()}, 1);
    chunk.SetValue(0, 0, value);
    chunk.SetCardinality(1);
    return std::string(rows::ThreadKeyEncoder().Encode(chunk)[0]);
  }

  // Every combination of the values, once, ascending. Without columns: one, which is empty.
  std::vector<std::string> EncodedKeys() const {
    std::vector<std::string> keys;
    if (equals_.empty()) return {""};
    rows::Types types;
    size_t count = 1;
    for (const Values& values : equals_) {
      types.push_back(values[0].type());
      count *= values.size();
    }
    rows::KeyEncoder& encoder = rows::ThreadKeyEncoder();
    for (size_t begin = 0; begin < count; begin += STANDARD_VECTOR_SIZE) {
      const size_t taken = std::min<size_t>(STANDARD_VECTOR_SIZE, count - begin);
      duckdb::DataChunk chunk;
      rows::MakeRoom(chunk, types, taken);
      for (size_t row = 0; row < taken; ++row) {
        size_t combination = begin + row;
        for (size_t column = 0; column < equals_.size(); ++column) {
          const Values& values = equals_[column];
          chunk.SetValue(column, row, values[combination % values.size()]);
          combination /= values.size();
        }
      }
      chunk.SetCardinality(taken);
      for (const std::string_view key : encoder.Encode(chunk)) keys.emplace_back(key);
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return keys;
  }

  // False: no index has all rows.
  Result<bool> ReadKeys(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      TRY(const bool looked_up, content_.Lookup(lookup_.index, key, step_, found_));
      if (looked_up) continue;
      if (!go_on_ || keys.size() > 1) return false;
      TRY(content_.LookupByScan(lookup_.index, key, step_, go_on_, found_));
    }
    return true;
  }

  // False: as ReadKeys, or there are too many rows.
  Result<bool> ReadRanges(const std::vector<std::string>& keys) {
    const bool ends = lookup_.in_order && limit_.has_value();
    size_t left = kLookupRowsMax;
    for (const std::string& key : keys) {
      // Each key gives as many rows as are wanted, for those of another may go before them.
      const size_t rows_max = ends ? std::min(left, static_cast<size_t>(*limit_)) : left;
      TRY(const auto read,
          content_.ReadRange(lookup_.index, RangeOf(key), step_, rows_max, found_));
      if (!read) return false;
      const bool enough = ends && read->rows >= static_cast<size_t>(*limit_);
      if (read->more && !enough) return false;
      left -= std::min(left, read->rows);
    }
    return true;
  }

  // The least bytes above all that begin with these. REQUIRES: they are a key, so that they do not
  // end with the greatest of all bytes only.
  static std::string After(std::string key) {
    while (!key.empty() && static_cast<uint8_t>(key.back()) == UINT8_MAX) key.pop_back();
    CHECK(!key.empty()) << "a key of greatest bytes only";
    ++key.back();
    return key;
  }

  // Of the keys that begin with `key`. The first byte of each column says that it is a value, or
  // NULL, which is above all values and in no range.
  state::ViewTable::KeyRange RangeOf(const std::string& key) const {
    constexpr char kValue = 1;
    constexpr char kNull = 2;
    constexpr char kAbove = 3;
    state::ViewTable::KeyRange range{key, key + kAbove, lookup_.backwards};
    if (!lookup_.range) return range;
    range.low += low_ ? *low_ : std::string(1, kValue);
    if (low_ && !lookup_.range->low->inclusive) range.low = After(range.low);
    range.high = key + (high_ ? *high_ : std::string(1, kNull));
    if (high_ && lookup_.range->high->inclusive) range.high = After(range.high);
    return range;
  }

  struct Place {
    size_t part;
    size_t row;
    std::string key;  // as `orders` want the rows
  };

  // Of every row, as often as it stands.
  std::vector<Place> Places(const rows::Batch& found) const {
    std::vector<Place> places;
    std::vector<rows::KeyOrder> orders;
    rows::Types types;
    for (const KeyedLookup::Order& order : lookup_.orders) {
      orders.push_back(order.order);
      types.push_back(content_.types()[order.column]);
    }
    rows::KeyEncoder encoder(orders);
    for (size_t part = 0; part < found.parts.size(); ++part) {
      duckdb::DataChunk& rows = *found.parts[part].rows;
      const std::vector<std::string_view>* keys = nullptr;
      if (!orders.empty()) {
        duckdb::DataChunk columns;
        columns.InitializeEmpty(types);
        for (size_t i = 0; i < types.size(); ++i)
          columns.data[i].Reference(rows.data[lookup_.orders[i].column]);
        columns.SetCardinality(rows.size());
        keys = &encoder.Encode(columns);
      }
      for (size_t row = 0; row < rows.size(); ++row) {
        for (rows::Weight i = 0; i < found.parts[part].weight(row); ++i) {
          places.push_back(
              {part, row, keys == nullptr ? std::string() : std::string((*keys)[row])});
        }
      }
    }
    std::stable_sort(places.begin(), places.end(),
                     [](const Place& a, const Place& b) { return a.key < b.key; });
    if (limit_) places.resize(std::min(places.size(), static_cast<size_t>(*limit_)));
    return places;
  }

  // The rows in the order of `found`, each once, without a copy; false: they are not the answer.
  bool TakeAll(const rows::Batch& found, sql::QueryResult& result) const {
    if (!lookup_.orders.empty() || found.parts.size() > 1 || !found.insert_only()) return false;
    if (limit_ && found.row_count() > static_cast<size_t>(*limit_)) return false;
    for (const rows::Batch::Part& part : found.parts) {
      if (lookup_.whole_rows) {
        result.chunks.push_back(part.rows);
        continue;
      }
      auto chunk = std::make_shared<duckdb::DataChunk>();
      chunk->InitializeEmpty(lookup_.schema.types());
      for (size_t column = 0; column < lookup_.output.size(); ++column)
        chunk->data[column].Reference(part.rows->data[lookup_.output[column]]);
      chunk->SetCardinality(part.rows->size());
      result.chunks.push_back(std::move(chunk));
    }
    return true;
  }

  sql::QueryResult Rows() {
    const rows::Batch found = found_.Finish();
    sql::QueryResult result;
    result.schema = lookup_.schema;
    result.step = step_.value;
    if (TakeAll(found, result)) return result;
    const std::vector<Place> places = Places(found);
    const rows::Types types = lookup_.schema.types();
    for (size_t begin = 0; begin < places.size(); begin += STANDARD_VECTOR_SIZE) {
      const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, places.size() - begin);
      auto chunk = std::make_shared<duckdb::DataChunk>();
      rows::MakeRoom(*chunk, types, count);
      for (size_t row = 0; row < count; ++row) {
        const Place& place = places[begin + row];
        for (size_t column = 0; column < types.size(); ++column) {
          duckdb::VectorOperations::Copy(found.parts[place.part].rows->data[lookup_.output[column]],
                                         chunk->data[column], place.row + 1, place.row, row);
        }
      }
      chunk->SetCardinality(count);
      result.chunks.push_back(std::move(chunk));
    }
    return result;
  }

  const KeyedLookup& lookup_;
  const state::ViewTable& content_;
  const LookupValues& values_;
  const state::Step step_;
  const std::function<Status()>& go_on_;
  bool nothing_ = false;            // no row can be in the answer
  std::vector<Values> equals_;      // of each column that equals something
  std::optional<std::string> low_;  // keys of the range's bounds
  std::optional<std::string> high_;
  std::optional<int64_t> limit_;
  rows::BatchBuilder found_;
};

}  // namespace

Result<std::optional<sql::QueryResult>> AnswerKeyed(const KeyedLookup& lookup,
                                                    const LookupValues& values, state::Step step,
                                                    const std::function<Status()>& go_on) {
  return Answer(lookup, values, step, go_on).Run();
}

bool IsQuick(const KeyedLookup& lookup) {
  size_t keys = 1;
  for (const KeyedLookup::Equal& equal : lookup.equals) {
    if (equal.of_list) return false;
    keys *= equal.any_of.size();
    if (keys > kQuickKeysMax) return false;
  }
  const state::ViewTable& content = *lookup.relation->content;
  if (content.cold_entry_count() != 0) return false;
  if (lookup.path == KeyedLookup::Path::kKeys) return true;
  return lookup.in_order && lookup.limit && *lookup.limit <= kQuickRowsMax &&
         content.HasOrder(lookup.index);
}

bool IsInForce(const KeyedLookup& lookup, const Published& published) {
  const auto relation = published.relations->Find(lookup.relation->object.name());
  return relation != nullptr && relation->content == lookup.relation->content;
}

}  // namespace millrace::runtime
