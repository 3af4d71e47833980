#include "stream/evaluated_call.h"

#include <unordered_set>

#include "duckdb/function/aggregate_function.hpp"
#include "rows/duckdb_exception.h"
#include "stream/expressions.h"

namespace millrace::stream {

// One state of the DuckDB function, destroyed as DuckDB wants it.
class EvaluatedCall::State {
 public:
  explicit State(const duckdb::BoundAggregateExpression& call)
      : function_(call.function),
        arena_(duckdb::Allocator::DefaultAllocator()),
        input_(call.bind_info.get(), arena_),
        // Aligned for any state.
        bytes_((function_.state_size(function_) + sizeof(std::max_align_t) - 1) /
               sizeof(std::max_align_t)) {
    function_.initialize(function_, data());
  }
  ~State() {
    if (!function_.destructor) return;
    duckdb::Vector states = Pointer();
    function_.destructor(states, input_, 1);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void Update(duckdb::DataChunk& arguments, size_t count) {
    duckdb::Vector states = Pointer();
    states.Flatten(count);
    function_.update(arguments.data.data(), input_, arguments.ColumnCount(), states, count);
  }
  void Finish(duckdb::Vector& out) {
    duckdb::Vector states = Pointer();
    function_.finalize(states, input_, out, 1, 0);
  }

 private:
  duckdb::data_ptr_t data() { return reinterpret_cast<duckdb::data_ptr_t>(bytes_.data()); }
  duckdb::Vector Pointer() {
    return duckdb::Vector(duckdb::Value::POINTER(duckdb::CastPointerToValue(data())));
  }

  const duckdb::AggregateFunction& function_;
  duckdb::ArenaAllocator arena_;
  duckdb::AggregateInputData input_;
  std::vector<std::max_align_t> bytes_;
};

EvaluatedCall::EvaluatedCall(const AggregateCall& spec, const rows::Types& argument_types)
    : spec_(spec), types_(argument_types) {
  if (!types_.empty()) decoder_.emplace(types_);
}

void EvaluatedCall::Gather(const state::BagTable& bag, const state::BagTable::Group* group,
                           std::string_view prefix) {
  rows_.clear();
  if (group == nullptr) return;
  std::unordered_set<std::string_view> seen;
  bag.Scan(group, prefix, [&](const state::BagTable::Entry& entry) {
    if (!entry.row.starts_with(prefix)) return false;
    if (entry.weight <= 0) return true;
    const std::string_view arguments = BagRowEncoder::ArgumentsOf(entry.row);
    int64_t copies = entry.weight;
    if (spec_.distinct)
      copies = seen.insert(BagRowEncoder::ArgumentsKeyOf(entry.row)).second ? 1 : 0;
    rows_.insert(rows_.end(), static_cast<size_t>(copies), arguments);
    return true;
  });
}

Status EvaluatedCall::Update(State& state, const Budget& budget) {
  for (size_t begin = 0; begin < rows_.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(rows_.size() - begin, STANDARD_VECTOR_SIZE);
    duckdb::DataChunk arguments;
    if (decoder_) {
      arguments.Initialize(duckdb::Allocator::DefaultAllocator(), types_, count);
      TRY(decoder_->Decode(std::span(rows_).subspan(begin, count), arguments, 0));
    }
    arguments.SetCardinality(count);
    state.Update(arguments, count);
    TRY(budget.CheckTime());
  }
  return Ok();
}

Result<std::optional<std::string>> EvaluatedCall::Evaluate(const state::BagTable& bag,
                                                           const state::BagTable::Group* group,
                                                           std::string_view prefix,
                                                           const Budget& budget,
                                                           duckdb::Vector& out, size_t at) {
  Gather(bag, group, prefix);
  try {
    State state(*spec_.function);
    TRY(Update(state, budget));
    duckdb::Vector result(out.GetType());
    state.Finish(result);
    duckdb::VectorOperations::Copy(result, out, 1, 0, at);
    return std::optional<std::string>();
  } catch (const std::exception& exception) {
    const std::string message = rows::ReadableMessage(exception);
    if (EndsTheStep(exception)) return Error(rows::CodeOf(exception), "{}", message);
    duckdb::FlatVector::SetNull(out, at, true);
    return std::optional(message);
  }
}

}  // namespace millrace::stream
