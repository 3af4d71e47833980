#include "runtime/endpoints.h"

#include <algorithm>
#include <set>

#include "rows/parse_value.h"

namespace millrace::runtime {

namespace {

std::vector<std::string_view> Split(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/', 1), path.size());
    segments.push_back(path.substr(1, end - 1));
    path.remove_prefix(end);
  }
  return segments;
}

bool IsParameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

std::optional<std::string> PercentDecoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || !std::isxdigit(static_cast<unsigned char>(text[i + 1])) ||
        !std::isxdigit(static_cast<unsigned char>(text[i + 2]))) {
      return std::nullopt;
    }
    out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
    i += 2;
  }
  return out;
}

// The relations behind names, plain views followed to what they read.
std::vector<std::string> ResolveRelations(const std::vector<std::string>& reads,
                                          const catalog::Catalog& catalog) {
  std::vector<std::string> open = reads;
  std::set<std::string> seen;
  std::vector<std::string> out;
  while (!open.empty()) {
    const std::string name = rows::LowerName(open.back());
    open.pop_back();
    if (!seen.insert(name).second) continue;
    const catalog::ViewDefinition* view = catalog.FindView(name);
    if (view != nullptr && !view->materialized) {
      open.insert(open.end(), view->reads.begin(), view->reads.end());
    } else {
      out.push_back(name);
    }
  }
  return out;
}

// The streams that the relations stand on, directly or through views; of "<stream>.late" and the
// like the stream.
std::vector<std::string> ResolveStreams(const std::vector<std::string>& reads,
                                        const catalog::Catalog& catalog) {
  std::vector<std::string> open = reads;
  std::set<std::string> seen;
  std::vector<std::string> out;
  while (!open.empty()) {
    const std::string name = catalog.DependencyOf(open.back());
    open.pop_back();
    const catalog::Object* object = catalog.FindRelation(name);
    if (object == nullptr || !seen.insert(rows::LowerName(name)).second) continue;
    if (object->kind() == catalog::Kind::kStream) out.push_back(InternalName(*object));
    const std::vector<std::string> more = object->depends_on();
    open.insert(open.end(), more.begin(), more.end());
  }
  return out;
}

}  // namespace

Result<std::shared_ptr<const Endpoints>> Endpoints::Make(const catalog::Catalog& catalog,
                                                         const Relations& relations,
                                                         sql::Database& database) {
  auto made = std::make_shared<Endpoints>();
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kEndpoint)) {
    auto endpoint = std::make_shared<Endpoint>();
    endpoint->object = std::make_shared<catalog::Object>(*object);
    const catalog::EndpointDefinition& definition = endpoint->definition();
    for (const std::string_view segment : Split(definition.path))
      endpoint->segments.emplace_back(segment);
    endpoint->relations = ResolveRelations(definition.reads, catalog);
    endpoint->streams = ResolveStreams(definition.reads, catalog);
    endpoint->ordered = HasOrder(definition.select);
    endpoint->keyed =
        RecogniseKeyedLookup(definition.select, {relations, catalog, &definition.parameters});
    if (endpoint->keyed) TRY(MakeIndexOf(*endpoint->keyed));
    for (const auto& parameter : definition.parameters) {
      if (parameter.check.empty()) continue;
      Endpoint::ParameterCheck check;
      rows::Column column;
      column.name = parameter.name;
      column.type = parameter.type;
      check.schema.columns.push_back(std::move(column));
      TRY(check.condition, database
                               .Condition(catalog, check.schema, parameter.check,
                                          {"", parameter.check, 0, parameter.check.size()})
                               .With(fmt::format("endpoint {}: CHECK of parameter {}",
                                                 Quoted(definition.name), Quoted(parameter.name))));
      endpoint->checks.emplace(parameter.name, std::move(check));
    }
    made->endpoints_.push_back(std::move(endpoint));
  }
  return std::shared_ptr<const Endpoints>(std::move(made));
}

std::optional<Endpoints::Match> Endpoints::Find(std::string_view method,
                                                std::string_view path) const {
  const std::vector<std::string_view> segments = Split(path);
  // A literal segment goes before a parameter: /users/me before /users/{id}.
  std::optional<Match> best;
  size_t best_literals = 0;
  for (const auto& endpoint : endpoints_) {
    const bool method_fits = endpoint->definition().method == method ||
                             (method == "HEAD" && endpoint->definition().method == "GET");
    if (!method_fits || endpoint->segments.size() != segments.size()) continue;
    Match match{endpoint, {}};
    size_t literals = 0;
    bool fits = true;
    for (size_t i = 0; i < segments.size() && fits; ++i) {
      const std::string& wanted = endpoint->segments[i];
      if (IsParameter(wanted)) {
        const auto value = PercentDecoded(segments[i]);
        fits = value.has_value() && !value->empty();
        if (fits) match.path_values[wanted.substr(1, wanted.size() - 2)] = *value;
      } else {
        fits = wanted == segments[i];
        ++literals;
      }
    }
    if (!fits || (best && literals <= best_literals)) continue;
    best = std::move(match);
    best_literals = literals;
  }
  return best;
}

std::shared_ptr<const Endpoint> Endpoints::FindByName(std::string_view name) const {
  for (const auto& endpoint : endpoints_) {
    if (rows::EqualNames(endpoint->definition().name, name)) return endpoint;
  }
  return nullptr;
}

Result<std::map<std::string, duckdb::Value>> ParseParameters(
    const Endpoint& endpoint, const std::map<std::string, std::string>& texts) {
  const catalog::EndpointDefinition& definition = endpoint.definition();
  for (const auto& [name, text] : texts) {
    const bool known =
        std::any_of(definition.parameters.begin(), definition.parameters.end(),
                    [&](const auto& parameter) { return rows::EqualNames(parameter.name, name); });
    if (!known) {
      std::vector<std::string> names;
      for (const auto& parameter : definition.parameters) names.push_back(parameter.name);
      return Error(Code::kInvalidArgument, "endpoint {} has no parameter {}",
                   Quoted(definition.name), Quoted(name))
          .Hint(DidYouMean(name, names));
    }
  }
  std::map<std::string, duckdb::Value> values;
  for (const auto& parameter : definition.parameters) {
    const auto text = std::find_if(texts.begin(), texts.end(), [&](const auto& item) {
      return rows::EqualNames(item.first, parameter.name);
    });
    if (text != texts.end()) {
      auto value = rows::ParseValue(text->second, parameter.type);
      if (!value.ok()) return std::move(value).With("parameter " + Quoted(parameter.name)).error();
      values[parameter.name] = *std::move(value);
    } else if (parameter.default_value) {
      values[parameter.name] = *parameter.default_value;
    } else {
      return Error(Code::kInvalidArgument, "parameter {} ({}) is missing", Quoted(parameter.name),
                   parameter.type.ToString());
    }
    const auto check = endpoint.checks.find(parameter.name);
    if (check == endpoint.checks.end()) continue;
    duckdb::DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {parameter.type}, 1);
    chunk.SetValue(0, 0, values[parameter.name]);
    chunk.SetCardinality(1);
    std::vector<uint8_t> passes;
    {
      const std::lock_guard lock(endpoint.checks_mutex);
      check->second.condition->Evaluate(chunk, passes);
    }
    if (!passes[0]) {
      return Error(Code::kInvalidArgument, "parameter {} = {} does not satisfy CHECK ({})",
                   Quoted(parameter.name), values[parameter.name].ToString(), parameter.check);
    }
  }
  return values;
}

std::optional<Micros> WatermarkOf(const Endpoint& endpoint, const Published& published) {
  std::optional<Micros> least;
  for (const std::string& stream : endpoint.streams) {
    const auto watermark = published.state.watermarks.find(stream);
    if (watermark == published.state.watermarks.end()) continue;
    if (!least || watermark->second < *least) least = watermark->second;
  }
  return least;
}

std::optional<Error> FailureOf(const Endpoint& endpoint, const Published& published) {
  for (const std::string& name : endpoint.relations) {
    const catalog::Object* object = published.catalog->FindRelation(name);
    if (object == nullptr || !object->halt) continue;
    const catalog::Halt& halt = *object->halt;
    if (halt.why != catalog::Halt::Why::kFailed) continue;
    return Error(Code::kUnavailable, "view {} has failed: {}", Quoted(object->name()), halt.reason)
        .Hint(fmt::format("it shows step {} until it is replaced or resumed", halt.step));
  }
  return std::nullopt;
}

state::Step LastChangeOf(const Endpoint& endpoint, const Published& published) {
  state::Step last;
  for (const std::string& name : endpoint.relations) {
    const auto relation = published.relations->Find(name);
    // A stream may change in any step, and system tables with time.
    if (relation == nullptr || relation->content == nullptr) return published.state.step;
    last = std::max(last, relation->content->LastChange(published.state.step));
  }
  return last;
}

}  // namespace millrace::runtime
