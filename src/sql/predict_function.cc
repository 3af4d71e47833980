#include "sql/predict_function.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "models/model.h"
#include "sql/model_names.h"
#include "sql/model_values.h"
#include "sql/query_context.h"

namespace millrace::sql {
namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using models::Model;
using models::Tensor;
using models::TensorSpec;
using Arguments = duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>;

// What a call was bound to.
class PredictData final : public duckdb::FunctionData {
 public:
  PredictData(std::string model_name, std::shared_ptr<const Model> bound_model, bool columns)
      : name(std::move(model_name)), model(std::move(bound_model)), by_column(columns) {}
  duckdb::unique_ptr<duckdb::FunctionData> Copy() const override {
    return duckdb::make_uniq<PredictData>(name, model, by_column);
  }
  bool Equals(const duckdb::FunctionData& given) const override {
    const auto& other = given.Cast<PredictData>();
    return model->digest() == other.model->digest() && by_column == other.by_column;
  }

  const std::string name;
  const std::shared_ptr<const Model> model;
  // The one input's row is made of all arguments; else there is one argument for each input.
  const bool by_column;
};

// ---- binding

// Raises the error at the expression: FromCall finds it in the connection's context.
[[noreturn]] void Raise(QueryContext& context, const duckdb::Expression& at, Error error) {
  duckdb::BinderException exception(at, error.message());
  context.model_error = std::move(error);
  throw exception;
}

// "4 of FLOAT, or one list of 4 FLOAT": of the arguments behind the name.
std::string WantedText(const models::Signature& signature) {
  if (signature.inputs.size() == 1) {
    const TensorSpec& input = signature.inputs[0];
    const std::string type = ElementSqlType(input.type).ToString();
    const int64_t elements = RowElements(input);
    if (elements == 1) return fmt::format("one {} ({})", type, input.name);
    if (elements < 0) return fmt::format("any number of {}, or one list of them", type);
    return fmt::format("{0} {1}, or one list of {0} {1}", elements, type);
  }
  std::string text;
  for (const TensorSpec& input : signature.inputs)
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", input.name, RowSqlType(input).ToString());
  return text;
}

bool IsList(const LogicalType& type) {
  return type.id() == LogicalTypeId::LIST || type.id() == LogicalTypeId::ARRAY;
}

bool IsOpen(const LogicalType& type) {
  return type.id() == LogicalTypeId::UNKNOWN || type.id() == LogicalTypeId::SQLNULL;
}

// Whether a value of `from` is taken for one of `to` as it stands: nothing is cut off or read from
// a text unasked.
bool IsTaken(const LogicalType& from, const LogicalType& to) {
  if (IsOpen(from)) return true;
  if (to.id() == LogicalTypeId::LIST) {
    const LogicalType child = from.id() == LogicalTypeId::LIST
                                  ? duckdb::ListType::GetChildType(from)
                                  : duckdb::ArrayType::GetChildType(from);
    return IsTaken(child, duckdb::ListType::GetChildType(to));
  }
  if (to.id() == LogicalTypeId::VARCHAR)
    return from.id() == LogicalTypeId::VARCHAR || from.id() == LogicalTypeId::ENUM;
  if (to.id() == LogicalTypeId::FLOAT || to.id() == LogicalTypeId::DOUBLE)
    return from.IsNumeric() || from.id() == LogicalTypeId::BOOLEAN;
  return from.IsIntegral() || from.id() == LogicalTypeId::BOOLEAN;
}

std::shared_ptr<const Model> FindModel(QueryContext& context, const duckdb::Expression& at,
                                       const std::string& name) {
  const catalog::Object* object =
      context.catalog == nullptr ? nullptr : context.catalog->Find(catalog::Kind::kModel, name);
  if (object == nullptr) {
    std::vector<std::string> names;
    if (context.catalog != nullptr) {
      for (const catalog::Object* each : context.catalog->OfKind(catalog::Kind::kModel))
        names.push_back(each->name());
    }
    std::string hint = DidYouMean(name, names);
    if (hint.empty()) hint = fmt::format("CREATE MODEL {} FROM 'file.onnx' makes one", name);
    Raise(context, at,
          Error(Code::kNotFound, "model {} does not exist", Quoted(name))
              .Hint(std::move(hint))
              .SqlState("42704"));
  }
  auto model = context.models.Get(std::get<catalog::ModelDefinition>(object->definition).digest)
                   .With(fmt::format("model {}", Quoted(object->name())));
  if (!model.ok()) Raise(context, at, std::move(model).error());
  if (Status rows = (*model)->ScoresRows(); !rows.ok()) {
    Raise(context, at,
          std::move(rows).error().With(fmt::format("predict() cannot use model {}", Quoted(name))));
  }
  return *std::move(model);
}

// The types that the arguments behind the name are cast to.
std::vector<LogicalType> TargetTypes(const models::Signature& signature, const Arguments& arguments,
                                     bool by_column) {
  std::vector<LogicalType> types;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const TensorSpec& input = signature.inputs[by_column ? 0 : i - 1];
    const LogicalType element = ElementSqlType(input.type);
    const bool list = !by_column && (RowElements(input) != 1 || IsList(arguments[i]->return_type));
    types.push_back(list ? LogicalType::LIST(element) : element);
  }
  return types;
}

void CheckArguments(QueryContext& context, const std::string& name, const Model& model,
                    const Arguments& arguments, const std::vector<LogicalType>& targets,
                    bool by_column) {
  const models::Signature& signature = model.signature();
  const auto hint = [&] {
    return fmt::format("predict({}, …) takes {}", name, WantedText(signature));
  };
  const int64_t wanted =
      by_column ? RowElements(signature.inputs[0]) : static_cast<int64_t>(signature.inputs.size());
  const auto given = static_cast<int64_t>(arguments.size()) - 1;
  if (given == 0 || (wanted >= 0 && given != wanted)) {
    Raise(context, *arguments[0],
          Error(Code::kInvalidArgument, "model {} takes {} value{}, got {}", Quoted(name),
                wanted < 0 ? "at least 1" : std::to_string(wanted), wanted == 1 ? "" : "s", given)
              .Hint(hint())
              .SqlState("42883"));
  }
  for (size_t i = 1; i < arguments.size(); ++i) {
    const LogicalType& type = arguments[i]->return_type;
    const LogicalType& target = targets[i - 1];
    const bool shape_fits = IsOpen(type) || IsList(type) == IsList(target);
    if (shape_fits && IsTaken(type, target)) continue;
    Raise(context, *arguments[i],
          Error(Code::kInvalidArgument, "value {} of model {} is {}, and it takes {}", i,
                Quoted(name), type.ToString(), target.ToString())
              .Hint(hint())
              .SqlState("42883"));
  }
}

LogicalType ResultType(QueryContext& context, const duckdb::Expression& at,
                       const models::Signature& signature) {
  if (signature.outputs.size() == 1) return RowSqlType(signature.outputs[0]);
  duckdb::child_list_t<LogicalType> fields;
  for (const TensorSpec& output : signature.outputs) {
    for (const auto& [name, type] : fields) {
      if (!rows::EqualNames(name, output.name)) continue;
      Raise(context, at,
            Error(Code::kNotSupported, "outputs {} and {} differ in case only", Quoted(name),
                  Quoted(output.name))
                .Hint("rename one of them in the model"));
    }
    fields.emplace_back(output.name, RowSqlType(output));
  }
  return LogicalType::STRUCT(std::move(fields));
}

duckdb::unique_ptr<duckdb::FunctionData> BindPredict(duckdb::ClientContext& client,
                                                     duckdb::ScalarFunction& function,
                                                     Arguments& arguments) {
  QueryContext& context = QueryContext::Of(client);
  const duckdb::Expression& first = *arguments[0];
  const duckdb::Value value = first.IsFoldable()
                                  ? duckdb::ExpressionExecutor::EvaluateScalar(client, first)
                                  : duckdb::Value();
  if (value.IsNull() || value.type().id() != LogicalTypeId::VARCHAR) {
    Raise(context, first,
          Error(Code::kInvalidArgument, "the first argument of predict() is the name of a model")
              .Hint("predict(churn, a, b)")
              .SqlState("42883"));
  }
  const std::string& name = duckdb::StringValue::Get(value);
  std::shared_ptr<const Model> model = FindModel(context, first, name);
  const models::Signature& signature = model->signature();
  // A parameter has no type yet: alone, where several values are taken, it is a list of them.
  const bool one_list =
      arguments.size() == 2 &&
      (IsList(arguments[1]->return_type) ||
       (IsOpen(arguments[1]->return_type) && RowElements(signature.inputs[0]) != 1));
  const bool by_column = signature.inputs.size() == 1 && !one_list;
  const std::vector<LogicalType> targets = TargetTypes(signature, arguments, by_column);
  CheckArguments(context, name, *model, arguments, targets, by_column);
  function.arguments = {LogicalType::VARCHAR};
  for (const LogicalType& target : targets) function.arguments.push_back(target);
  function.varargs = LogicalType(LogicalTypeId::INVALID);
  function.SetReturnType(ResultType(context, first, signature));
  return duckdb::make_uniq<PredictData>(name, std::move(model), by_column);
}

// ---- running

// Rows whose arguments have the same numbers of elements: those of one run of the model.
using Groups = std::map<std::vector<int64_t>, std::vector<size_t>>;

Groups GroupRows(const std::vector<ColumnReader>& readers, size_t rows, duckdb::Vector& result) {
  Groups groups;
  std::vector<int64_t> shape(readers.size(), 1);
  const bool single = std::all_of(readers.begin(), readers.end(),
                                  [](const ColumnReader& reader) { return reader.AllSingle(); });
  if (single && rows > 0) {
    std::vector<size_t>& all = groups[shape];
    all.resize(rows);
    std::iota(all.begin(), all.end(), size_t{0});
    return groups;
  }
  Groups::iterator last = groups.end();
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < readers.size(); ++i) shape[i] = readers[i].ElementsOf(row);
    if (std::find(shape.begin(), shape.end(), -1) != shape.end()) {
      duckdb::FlatVector::SetNull(result, row, true);
    } else {
      if (last == groups.end() || last->first != shape) last = groups.try_emplace(shape).first;
      last->second.push_back(row);
    }
  }
  return groups;
}

// The shape of the input for `rows` rows of `elements` elements each.
std::vector<int64_t> ShapeOf(const PredictData& data, const TensorSpec& spec, size_t rows,
                             int64_t elements) {
  const int64_t wanted = RowElements(spec);
  if (wanted >= 0 && elements != wanted) {
    throw duckdb::InvalidInputException("predict(%s): got a list of %d, the model takes %d of %s",
                                        data.name, elements, wanted, spec.name);
  }
  std::vector<int64_t> shape = spec.shape;
  shape[0] = static_cast<int64_t>(rows);
  for (size_t i = 1; i < shape.size(); ++i) {
    if (shape[i] < 0) shape[i] = elements;
  }
  return shape;
}

std::vector<Tensor> InputsOf(const PredictData& data, const std::vector<ColumnReader>& readers,
                             const std::vector<int64_t>& elements,
                             const std::vector<size_t>& rows) {
  const std::vector<TensorSpec>& specs = data.model->signature().inputs;
  std::vector<Tensor> inputs(specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    inputs[i].type = specs[i].type;
    inputs[i].shape = ShapeOf(data, specs[i], rows.size(),
                              data.by_column ? static_cast<int64_t>(readers.size()) : elements[i]);
    const auto of_input = data.by_column ? std::span(readers) : std::span(readers).subspan(i, 1);
    MakeRoom(inputs[i]);
    const size_t width = inputs[i].elements() / rows.size();
    for (size_t column = 0; column < of_input.size(); ++column) {
      for (size_t j = 0; j < rows.size(); ++j)
        of_input[column].Put(rows[j], inputs[i], j * width + column);
    }
  }
  return inputs;
}

void RunPredict(duckdb::DataChunk& arguments, duckdb::ExpressionState& state,
                duckdb::Vector& result) {
  const auto& data =
      state.expr.Cast<duckdb::BoundFunctionExpression>().bind_info->Cast<PredictData>();
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  std::vector<ColumnReader> readers;
  for (size_t i = 1; i < arguments.ColumnCount(); ++i)
    readers.emplace_back(arguments.data[i], arguments.size());
  Model::IsOver is_over;
  if (state.HasContext())
    is_over = [&client = state.GetContext()] { return client.interrupted.load(); };
  for (const auto& [elements, rows] : GroupRows(readers, arguments.size(), result)) {
    const auto scored = data.model->RunRows(InputsOf(data, readers, elements, rows), is_over);
    if (!scored.ok() && scored.error().code() == Code::kCancelled)
      throw duckdb::InterruptException();
    if (!scored.ok()) {
      throw duckdb::InvalidInputException("predict(%s): %s", data.name, scored.error().message());
    }
    for (size_t output = 0; output < scored->size(); ++output) {
      duckdb::Vector& target =
          scored->size() == 1 ? result : *duckdb::StructVector::GetEntries(result)[output];
      for (size_t i = 0; i < rows.size(); ++i) WriteRow((*scored)[output], i, target, rows[i]);
    }
  }
}

}  // namespace

void RegisterPredictFunction(duckdb::Connection& connection) {
  connection.context->RunFunctionInTransaction([&] {
    duckdb::ScalarFunction function(kPredict, {LogicalType::ANY}, LogicalType::ANY, RunPredict,
                                    BindPredict);
    function.varargs = LogicalType::ANY;
    function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
    function.SetFallible();
    duckdb::CreateScalarFunctionInfo info(std::move(function));
    duckdb::Catalog::GetSystemCatalog(*connection.context)
        .CreateFunction(*connection.context, info);
  });
}

}  // namespace millrace::sql
