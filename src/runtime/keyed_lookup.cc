#include "runtime/keyed_lookup.h"

#include <algorithm>

#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "runtime/lookup_recogniser.h"

namespace millrace::runtime {

namespace {

using Columns = std::vector<size_t>;

std::optional<KeyedLookup> Recognise(const std::string& select, const LookupContext& context) {
  const auto node = ParseSelect(select);
  if (node == nullptr || node->type != duckdb::QueryNodeType::SELECT_NODE) return std::nullopt;
  return RecogniseSelect(node->Cast<duckdb::SelectNode>(), context);
}

// Types of one plain value whose keys stand as DuckDB compares them.
bool IsOrdered(const duckdb::LogicalType& type) {
  using duckdb::LogicalTypeId;
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::UHUGEINT:
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::DECIMAL:
    case LogicalTypeId::BLOB:
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
    case LogicalTypeId::TIMESTAMP_TZ:
    case LogicalTypeId::UUID:
    case LogicalTypeId::ENUM:
      return true;
    case LogicalTypeId::VARCHAR:
      return !type.HasAlias();  // JSON
    default:
      return false;
  }
}

class IndexChoice {
 public:
  IndexChoice(KeyedLookup& lookup, const LookupContext& context)
      : lookup_(lookup), may_make_(context.declared != nullptr) {
    for (const KeyedLookup::Equal& equal : lookup_.equals) equals_.push_back(equal.column);
    std::sort(equals_.begin(), equals_.end());
    const Columns& key = lookup_.relation->content->key();
    if (!key.empty()) candidates_.push_back(key);
    for (const catalog::Object* object : context.catalog.OfKind(catalog::Kind::kIndex)) {
      const auto& index = std::get<catalog::IndexDefinition>(object->definition);
      if (rows::EqualNames(index.relation, lookup_.relation->object.name())) Add(index.columns);
    }
  }

  bool Choose() {
    if (!lookup_.orders.empty() && lookup_.has_limit() && ChooseOrder(/*in_order=*/true))
      return true;
    if (lookup_.range) return ChooseOrder(/*in_order=*/false) || (may_make_ && MakeOrder());
    if (equals_.empty()) return false;
    for (const Columns& columns : candidates_) {
      if (std::is_permutation(columns.begin(), columns.end(), equals_.begin(), equals_.end()))
        return Take(KeyedLookup::Path::kKeys, columns);
    }
    // In rising order, so that WHERE a = … AND b = … and the other way round share one.
    return may_make_ ? Take(KeyedLookup::Path::kKeys, equals_) : ChooseOrder(/*in_order=*/false);
  }

 private:
  void Add(const std::vector<std::string>& names) {
    Columns columns;
    for (const std::string& name : names) {
      const auto column = lookup_.relation->shape.schema.Find(name);
      if (!column) return;
      columns.push_back(*column);
    }
    candidates_.push_back(std::move(columns));
  }

  bool ChooseOrder(bool in_order) {
    for (const Columns& columns : candidates_) {
      if (!Serves(columns) || (in_order && !InOrder(columns))) continue;
      return Take(KeyedLookup::Path::kRange, columns);
    }
    return false;
  }

  bool MakeOrder() {
    Columns columns = equals_;
    columns.push_back(lookup_.range->column);
    return Serves(columns) && Take(KeyedLookup::Path::kRange, columns);
  }

  // Its first columns are those that equal something, and then that of the range.
  bool Serves(const Columns& columns) const {
    const size_t needed = equals_.size() + (lookup_.range ? 1 : 0);
    return needed <= columns.size() &&
           std::is_permutation(equals_.begin(), equals_.end(), columns.begin(),
                               columns.begin() + static_cast<ptrdiff_t>(equals_.size())) &&
           (!lookup_.range || columns[equals_.size()] == lookup_.range->column) &&
           std::all_of(columns.begin(), columns.end(), [&](size_t column) {
             return IsOrdered(lookup_.relation->shape.schema.columns[column].type);
           });
  }

  // Whether the columns after those that equal something stand as ORDER BY wants the rows. Those
  // that equal something are the same in all rows of a key.
  bool InOrder(const Columns& columns) {
    size_t at = equals_.size();
    std::optional<bool> backwards;
    for (const KeyedLookup::Order& each : lookup_.orders) {
      if (std::binary_search(equals_.begin(), equals_.end(), each.column)) continue;
      if (at == columns.size() || each.column != columns[at++] ||
          each.order.descending != backwards.value_or(each.order.descending))
        return false;
      backwards = each.order.descending;
      // The order has NULLs last, backwards first.
      const bool in_range = lookup_.range && lookup_.range->column == each.column;
      if (each.order.nulls_first != *backwards && !in_range &&
          !lookup_.relation->shape.schema.columns[each.column].not_null)
        return false;
    }
    lookup_.in_order = true;
    lookup_.backwards = backwards.value_or(false);
    return true;
  }

  bool Take(KeyedLookup::Path path, const Columns& columns) {
    lookup_.path = path;
    lookup_.index = columns;
    std::sort(lookup_.equals.begin(), lookup_.equals.end(), [&](const auto& a, const auto& b) {
      return std::find(columns.begin(), columns.end(), a.column) <
             std::find(columns.begin(), columns.end(), b.column);
    });
    return true;
  }

  KeyedLookup& lookup_;
  const bool may_make_;
  Columns equals_;  // in rising order
  std::vector<Columns> candidates_;
};

bool TakesWholeRows(const KeyedLookup& lookup) {
  const rows::Types& types = lookup.relation->content->types();
  if (lookup.output.size() != types.size()) return false;
  for (size_t i = 0; i < lookup.output.size(); ++i) {
    if (lookup.output[i] != i || lookup.schema.columns[i].type != types[i]) return false;
  }
  return true;
}

std::string NamesOf(const KeyedLookup& lookup) {
  std::string names;
  for (const size_t column : lookup.index)
    names += (names.empty() ? "" : ", ") + lookup.relation->shape.schema.columns[column].name;
  return "(" + names + ")";
}

std::string TextOf(const KeyedLookup::Operand& operand) {
  return operand.parameter.empty() ? operand.constant.ToSQLString() : "$" + operand.parameter;
}

std::string ConditionOf(const KeyedLookup& lookup) {
  const auto name = [&](size_t column) {
    return Quoted(lookup.relation->shape.schema.columns[column].name);
  };
  std::vector<std::string> terms;
  for (const KeyedLookup::Equal& equal : lookup.equals) {
    std::string values;
    for (const KeyedLookup::Operand& operand : equal.any_of)
      values += (values.empty() ? "" : ", ") + TextOf(operand);
    if (equal.of_list) {
      terms.push_back(fmt::format("{} = ANY({})", name(equal.column), values));
    } else if (equal.any_of.size() == 1) {
      terms.push_back(fmt::format("{} = {}", name(equal.column), values));
    } else {
      terms.push_back(fmt::format("{} IN ({})", name(equal.column), values));
    }
  }
  if (lookup.range && lookup.range->low) {
    const KeyedLookup::Bound& low = *lookup.range->low;
    terms.push_back(fmt::format("{} {} {}", name(lookup.range->column), low.inclusive ? ">=" : ">",
                                TextOf(low.operand)));
  }
  if (lookup.range && lookup.range->high) {
    const KeyedLookup::Bound& high = *lookup.range->high;
    terms.push_back(fmt::format("{} {} {}", name(lookup.range->column), high.inclusive ? "<=" : "<",
                                TextOf(high.operand)));
  }
  return fmt::format("{}", fmt::join(terms, " AND "));
}

// "by key", "of 6 keys".
std::string KeysOf(const KeyedLookup& lookup) {
  size_t keys = 1;
  for (const KeyedLookup::Equal& equal : lookup.equals) {
    if (equal.of_list) return "of the keys in a list";
    keys *= equal.any_of.size();
  }
  if (keys != 1) return fmt::format("of {} keys", keys);
  return lookup.index == lookup.relation->content->key() ? "by key" : "by index";
}

}  // namespace

std::optional<KeyedLookup> RecogniseKeyedLookup(const std::string& select,
                                                const LookupContext& context) {
  std::optional<KeyedLookup> lookup;
  try {
    lookup = Recognise(select, context);
  } catch (const std::exception&) {
    return std::nullopt;  // DuckDB says what is wrong when it plans the SELECT
  }
  if (!lookup || !IndexChoice(*lookup, context).Choose()) return std::nullopt;
  lookup->whole_rows = TakesWholeRows(*lookup);
  return lookup;
}

Status MakeIndexOf(const KeyedLookup& lookup) {
  state::ViewTable& content = *lookup.relation->content;
  return lookup.path == KeyedLookup::Path::kKeys ? content.AddIndex(lookup.index)
                                                 : content.AddOrder(lookup.index);
}

std::string ExplainLookup(const KeyedLookup& lookup) {
  const std::string relation = Quoted(lookup.relation->object.name());
  std::string text =
      lookup.path == KeyedLookup::Path::kKeys
          ? fmt::format("LOOKUP {} {} in {}\n", KeysOf(lookup), NamesOf(lookup), relation)
          : fmt::format("RANGE on {} in {}\n", NamesOf(lookup), relation);
  if (const std::string condition = ConditionOf(lookup); !condition.empty())
    text += "  " + condition + "\n";
  if (lookup.in_order) {
    text +=
        fmt::format("  in the order of the index{}, no further than LIMIT {}\n",
                    lookup.backwards ? ", backwards" : "",
                    lookup.limit ? std::to_string(*lookup.limit) : "$" + lookup.limit_parameter);
  }
  return text;
}

std::unique_ptr<duckdb::QueryNode> ParseSelect(const std::string& select) {
  duckdb::Parser parser;
  try {
    parser.ParseQuery(select);
  } catch (const std::exception&) {
    return nullptr;
  }
  if (parser.statements.size() != 1 ||
      parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT)
    return nullptr;
  return std::move(parser.statements[0]->Cast<duckdb::SelectStatement>().node);
}

bool HasOrder(const std::string& select) {
  const auto node = ParseSelect(select);
  return node != nullptr &&
         std::any_of(node->modifiers.begin(), node->modifiers.end(), [](const auto& modifier) {
           return modifier->type == duckdb::ResultModifierType::ORDER_MODIFIER;
         });
}

}  // namespace millrace::runtime
