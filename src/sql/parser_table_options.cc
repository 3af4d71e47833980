#include "sql/parser_table_options.h"

#include "rows/schema.h"
#include "sql/parser_values.h"

namespace millrace::sql {
namespace {

Status RequireKey(const Cursor& cursor, const catalog::TableDefinition& table,
                  const Option& option) {
  if (!table.primary_key.empty()) return Ok();
  return cursor.At(option.name_begin,
                   Error(Code::kInvalidArgument,
                         "a {} needs a PRIMARY KEY: its rows are put in by key", option.name));
}

Status Topic(const Cursor& cursor, catalog::TableDefinition& table, const Option& option) {
  if (option.value.empty())
    return cursor.At(option.value_begin,
                     Error(Code::kInvalidArgument, "the name of a topic is expected"));
  if (rows::EqualNames(option.value, table.name))
    return cursor.At(option.value_begin,
                     Error(Code::kInvalidArgument,
                           "a table cannot have the name of its topic: they share one name space")
                         .Hint("give the table another name"));
  table.topic = option.value;
  return Ok();
}

}  // namespace

Result<size_t> ExpectTableOptions(Cursor& cursor, catalog::TableDefinition& table) {
  TRY(const std::vector<Option> options, ExpectOptions(cursor));
  for (const Option& option : options) {
    if (option.name != "durability") continue;
    return cursor.At(option.name_begin,
                     Error(Code::kInvalidArgument, "durability is an option of streams")
                         .Hint("what is written to a table is durable when it is answered"));
  }
  TRY(CheckOptionNames(cursor, options, "a table", {"seed", "topic", "format"}, {}));
  size_t topic_begin = 0;
  const Option* seed = nullptr;
  const Option* format = nullptr;
  for (const Option& option : options) {
    if (option.name == "format") {
      TRY(const size_t choice, ChoiceOf(cursor, option, {"json", "debezium"}));
      table.format = static_cast<catalog::TableDefinition::Format>(choice);
      format = &option;
      continue;
    }
    TRY(RequireKey(cursor, table, option));
    if (option.name == "topic") {
      TRY(Topic(cursor, table, option));
      topic_begin = option.value_begin;
    } else {
      table.seed = option.value;
      seed = &option;
    }
  }
  // The rows of a topic have a format, and come from nowhere else.
  if (format != nullptr && table.topic.empty())
    return cursor.At(format->name_begin,
                     Error(Code::kInvalidArgument, "a table has a format by its topic only")
                         .Hint("WITH (topic = 'name', format = 'json')"));
  if (seed != nullptr && !table.topic.empty())
    return cursor.At(
        seed->name_begin,
        Error(Code::kInvalidArgument, "the rows of a table come from a seed or from a topic"));
  return topic_begin;
}

}  // namespace millrace::sql
