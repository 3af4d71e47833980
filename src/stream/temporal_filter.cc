// TemporalFilter: rows come and go as the steps' clock moves.
//
//   out = Δ { row ∈ I(in) : from(row) <= clock < to(row) }
//
// Each condition `column <comparison> g(clock)` with a g that never falls holds from some time on,
// or until some time: the least clock at which g reaches the column's value, or passes it. Where g
// is the clock plus a shift that is a subtraction; else the time is found by bisection, for all
// rows of a chunk at once.
//
// State: the time index, rows by when they come or go next. Cost: one entry for a row that is there
// and will go, or is still to come.
// Not thread-safe: one instance per worker. Errors: those of the state, kCorruption for a row that
// does not decode.
//
// Source: "temporal filters" of Materialize; the law is our own.
#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/coding.h"
#include "duckdb/execution/expression_executor.hpp"
#include "rows/row_codec.h"
#include "stream/closing.h"
#include "stream/operator.h"
#include "stream/state_rows.h"
#include "stream/time_bytes.h"

namespace millrace::stream {
namespace {

using duckdb::ExpressionType;

constexpr int64_t kAlways = std::numeric_limits<int64_t>::min();
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// Clocks that bisection looks at: the years 1900 to 2300.
constexpr int64_t kClockMin = -2'208'988'800'000'000;
constexpr int64_t kClockMax = 10'413'792'000'000'000;

constexpr char kComes = 0;
constexpr char kGoes = 1;

int64_t Clamp(__int128 time) {
  return static_cast<int64_t>(std::clamp<__int128>(time, kAlways, kNever));
}

// When a condition begins to hold, or ends to, for the values of a column.
class Thresholds {
 public:
  Thresholds(duckdb::ClientContext& client, const TemporalFilter::Condition& condition,
             const duckdb::LogicalType& type)
      : condition_(condition), executor_(client, *condition.of_clock) {
    clock_.Initialize(duckdb::Allocator::DefaultAllocator(), {duckdb::LogicalType::TIMESTAMP});
    value_.Initialize(duckdb::Allocator::DefaultAllocator(), {type});
    column_.InitializeEmpty({type});
  }

  // By row: the least clock at which g reaches the value (or with `above` passes it). `values` has
  // no NULL that is asked for.
  void Find(duckdb::Vector& values, size_t count, bool above, std::vector<int64_t>& times) {
    times.resize(count);
    if (!condition_.shift) return Bisect(values, count, above, times);
    const Int64Column column(values, count);
    for (size_t i = 0; i < count; ++i) {
      if (column.is_null(i)) continue;
      const int64_t value = column[i];
      const bool infinite = value == kNever || value == -kNever;
      times[i] =
          infinite
              ? value
              : Clamp(static_cast<__int128>(value) - condition_.shift->count() + (above ? 1 : 0));
    }
  }

 private:
  void Bisect(duckdb::Vector& values, size_t count, bool above, std::vector<int64_t>& times) {
    column_.data[0].Reference(values);
    column_.SetCardinality(count);
    wanted_.clear();
    for (const std::string_view bytes : encoder_.Encode(column_)) wanted_.emplace_back(bytes);
    low_.assign(count, kClockMin);
    high_.assign(count, kClockMax);
    for (int64_t width = kClockMax - kClockMin; width > 0; width /= 2) {
      auto* clocks = duckdb::FlatVector::GetData<int64_t>(clock_.data[0]);
      for (size_t i = 0; i < count; ++i) clocks[i] = low_[i] + (high_[i] - low_[i]) / 2;
      clock_.SetCardinality(count);
      value_.Reset();
      executor_.Execute(clock_, value_);
      value_.SetCardinality(count);
      value_.Flatten();
      const std::vector<std::string_view>& reached = encoder_.Encode(value_);
      for (size_t i = 0; i < count; ++i) {
        const int order = reached[i].compare(wanted_[i]);
        if (order > 0 || (order == 0 && !above)) {
          high_[i] = clocks[i];
        } else {
          low_[i] = std::min(clocks[i] + 1, high_[i]);
        }
      }
    }
    for (size_t i = 0; i < count; ++i) {
      times[i] = low_[i] == kClockMin ? kAlways : low_[i] >= kClockMax ? kNever : low_[i];
    }
  }

  const TemporalFilter::Condition& condition_;
  duckdb::ExpressionExecutor executor_;
  rows::KeyEncoder encoder_;
  duckdb::DataChunk clock_, value_, column_;
  std::vector<std::string> wanted_;
  std::vector<int64_t> low_, high_;
};

class TemporalFilterOperator final : public Operator {
 public:
  TemporalFilterOperator(const Node& node, const OperatorContext& context)
      : op_(std::get<TemporalFilter>(node.op)),
        encoder_(context.input_types[0]),
        index_(context.state, context.table, context.worker, context.workers),
        builder_(context.input_types[0]),
        out_(context.input_types[0], /*numbered=*/false) {
    for (const TemporalFilter::Condition& condition : op_.conditions) {
      thresholds_.push_back(std::make_unique<Thresholds>(context.client, condition,
                                                         context.input_types[0][condition.column]));
    }
  }

  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override {
    const int64_t clock = context.clock.value;
    if (inputs[0] != nullptr) {
      for (const rows::Batch::Part& part : inputs[0]->parts) TRY(Read(part, clock));
    }
    if (next_ <= clock) TRY(TakeDue(clock));
    rows::Batch out = builder_.Finish();
    out.Append(out_.Take());
    return out;
  }

  std::optional<Micros> NextDue() const override {
    return next_ == kNever ? std::nullopt : std::optional(Micros{next_});
  }

 private:
  Status Read(const rows::Batch::Part& part, int64_t clock) {
    duckdb::DataChunk& rows = *part.rows;
    FindTimes(rows);
    const std::vector<std::string_view>& encoded = encoder_.Encode(rows);
    present_.clear();
    weights_.clear();
    new_.clear();
    payloads_.clear();
    payloads_.reserve(rows.size());
    times_.clear();
    times_.reserve(rows.size());
    for (size_t row = 0; row < rows.size(); ++row) {
      const int64_t from = from_[row];
      const int64_t to = to_[row];
      if (from >= to || to <= clock || part.weight(row) == 0) continue;
      if (from <= clock) {
        present_.push_back(static_cast<duckdb::sel_t>(row));
        weights_.push_back(part.weight(row));
        if (to != kNever) Note(to, kGoes, to, encoded[row], part.weight(row));
      } else {
        Note(from, kComes, to, encoded[row], part.weight(row));
      }
    }
    if (!present_.empty()) builder_.Append(rows, present_.data(), present_.size(), weights_.data());
    return index_.Add(new_);
  }

  void Note(int64_t when, char what, int64_t to, std::string_view row, rows::Weight weight) {
    times_.emplace_back(View(TimeBytes(when)));
    std::string payload(1, what);
    payload += View(TimeBytes(to));
    payloads_.push_back(std::move(payload));
    new_.push_back({times_.back(), {row, rows::KeyHash(row)}, payloads_.back(), weight});
    next_ = std::min(next_, when);
  }

  // From when until when each row is there.
  void FindTimes(duckdb::DataChunk& rows) {
    from_.assign(rows.size(), kAlways);
    to_.assign(rows.size(), kNever);
    for (size_t i = 0; i < op_.conditions.size(); ++i) {
      const TemporalFilter::Condition& condition = op_.conditions[i];
      duckdb::Vector& values = rows.data[condition.column];
      const ExpressionType comparison = condition.comparison;
      const bool begins = comparison == ExpressionType::COMPARE_LESSTHAN ||
                          comparison == ExpressionType::COMPARE_LESSTHANOREQUALTO ||
                          comparison == ExpressionType::COMPARE_EQUAL;
      const bool ends = comparison == ExpressionType::COMPARE_GREATERTHAN ||
                        comparison == ExpressionType::COMPARE_GREATERTHANOREQUALTO ||
                        comparison == ExpressionType::COMPARE_EQUAL;
      if (begins) {
        thresholds_[i]->Find(values, rows.size(), comparison == ExpressionType::COMPARE_LESSTHAN,
                             found_);
        for (size_t row = 0; row < rows.size(); ++row)
          from_[row] = std::max(from_[row], found_[row]);
      }
      if (ends) {
        thresholds_[i]->Find(values, rows.size(), comparison != ExpressionType::COMPARE_GREATERTHAN,
                             found_);
        for (size_t row = 0; row < rows.size(); ++row) to_[row] = std::min(to_[row], found_[row]);
      }
      duckdb::UnifiedVectorFormat format;
      values.ToUnifiedFormat(rows.size(), format);
      for (size_t row = 0; row < rows.size(); ++row) {
        if (!format.validity.RowIsValid(format.sel->get_index(row))) to_[row] = kAlways;
      }
    }
  }

  Status TakeDue(int64_t clock) {
    while (true) {
      TRY(const auto due, index_.Take(View(TimeBytes(clock)), /*inclusive=*/true));
      if (due.empty()) break;
      new_.clear();
      payloads_.clear();
      payloads_.reserve(due.size());
      times_.clear();
      times_.reserve(due.size());
      for (const TimeIndex::Entry& entry : due) {
        if (entry.payload.size() != 1 + sizeof(int64_t))
          return Error(Code::kCorruption, "an entry of a temporal filter is damaged");
        const int64_t to = TimeOf(entry.payload.substr(1));
        if (entry.payload[0] == kGoes) {
          TRY(out_.Add(entry.key.bytes, -entry.weight));
        } else if (to > clock) {
          TRY(out_.Add(entry.key.bytes, entry.weight));
          if (to != kNever) Note(to, kGoes, to, entry.key.bytes, entry.weight);
        }
      }
      TRY(out_.Flush());
      TRY(index_.Add(new_));
    }
    TRY(const std::string first, index_.First());
    next_ = first.empty() ? kNever : TimeOf(first);
    return Ok();
  }

  const TemporalFilter& op_;
  rows::RowEncoder encoder_;
  TimeIndex index_;
  rows::BatchBuilder builder_;
  StoredRows out_;
  std::vector<std::unique_ptr<Thresholds>> thresholds_;
  // When the next row comes or goes; until the first step it is not known what the state holds.
  int64_t next_ = kAlways;
  // Scratch.
  std::vector<int64_t> from_, to_, found_;
  std::vector<duckdb::sel_t> present_;
  std::vector<rows::Weight> weights_;
  std::vector<TimeIndex::New> new_;
  std::vector<std::string> times_, payloads_;
};

}  // namespace

std::unique_ptr<Operator> MakeTemporalFilter(const Node& node, OperatorContext context) {
  return std::make_unique<TemporalFilterOperator>(node, context);
}

}  // namespace millrace::stream
