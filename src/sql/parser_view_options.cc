#include "sql/parser_view_options.h"

#include <algorithm>

#include "sql/parser_values.h"

namespace millrace::sql {
namespace {

const KnownOptions& KnownOfViews() {
  static const KnownOptions known = {"a view",
                                     {"retention", "retention_bytes"},
                                     {"on_error", "history", "memory_max", "changes"},
                                     "; CREATE OR REPLACE changes the others"};
  return known;
}

Status ViewOption(const Cursor& cursor, catalog::ViewDefinition& view, const Option& option) {
  if (option.name == "on_error") {
    TRY(const size_t choice, ChoiceOf(cursor, option, {"skip", "stop"}));
    view.on_error = static_cast<catalog::ViewDefinition::OnError>(choice);
  } else if (option.name == "memory_max") {
    TRY(view.memory_max, SizeOf(cursor, option));
  } else if (option.name == "changes") {
    TRY(const size_t choice, ChoiceOf(cursor, option, {"none", "upsert", "append"}));
    view.changes = static_cast<catalog::ViewDefinition::Changes>(choice);
  } else if (option.name == "retention") {
    TRY(view.retention, RetentionOf(cursor, option));
  } else if (option.name == "retention_bytes") {
    TRY(view.retention_bytes, SizeOf(cursor, option));
  } else {
    TRY(const size_t choice, ChoiceOf(cursor, option, {"full", "available", "none"}));
    view.history = static_cast<catalog::ViewDefinition::History>(choice);
  }
  return Ok();
}

}  // namespace

Status CheckRetention(const catalog::ViewDefinition& view) {
  using Changes = catalog::ViewDefinition::Changes;
  if ((!view.retention && !view.retention_bytes) || view.changes == Changes::kAppend) return Ok();
  if (view.changes == Changes::kUpsert) {
    return Error(Code::kInvalidArgument,
                 "the topic of changes = 'upsert' has no retention: it is compacted, and keeps the "
                 "newest record of each row")
        .Hint("changes = 'append' can have one");
  }
  return Error(Code::kInvalidArgument,
               "retention is that of the view's topic of changes, and it has none")
      .Hint("WITH (changes = 'append', retention = '7 days')");
}

Status ExpectViewOptions(Cursor& cursor, catalog::ViewDefinition& view) {
  TRY(const std::vector<Option> options, ExpectOptions(cursor));
  if (!view.materialized)
    return CheckOptionNames(cursor, options, "a plain view, which stores nothing", {}, {});
  TRY(CheckOptionNames(cursor, options, "a materialized view", KnownOfViews().All(), {}));
  for (const Option& option : options) TRY(ViewOption(cursor, view, option));
  const Status checked = CheckRetention(view);
  if (checked.ok()) return Ok();
  const auto at = std::find_if(options.begin(), options.end(), [](const Option& option) {
    return option.name == "retention" || option.name == "retention_bytes";
  });
  return cursor.At(at->name_begin, Error(checked.error()));
}

Result<std::set<std::string>> ExpectViewSettings(Cursor& cursor, catalog::ViewDefinition& view) {
  TRY(const std::vector<Option> options, ExpectOptions(cursor));
  TRY(CheckOptionNames(cursor, options, KnownOfViews().of, KnownOfViews().All(), {}));
  std::set<std::string> names;
  for (const Option& option : options) {
    TRY(RefuseFixed(cursor, KnownOfViews(), option.name, option.name_begin));
    TRY(ViewOption(cursor, view, option));
    names.insert(option.name);
  }
  return names;
}

Result<std::set<std::string>> ExpectViewSettingNames(Cursor& cursor) {
  return ExpectOptionNames(cursor, KnownOfViews());
}

}  // namespace millrace::sql
