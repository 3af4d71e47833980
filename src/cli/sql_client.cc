#include "cli/sql_client.h"

#include <readline/history.h>
#include <readline/readline.h>
#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "base/clock.h"
#include "cli/find_node.h"

namespace millrace::cli {

namespace {

// Rows of a table are aligned over this many at a time, so that a large result needs no memory.
constexpr size_t kCellWidthMax = 60;

// Columns that a terminal shows for UTF-8 text: one a code point.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string CellText(simdjson::dom::element value) {
  std::string_view text;
  if (value.is_null()) return "";
  if (value.get(text) == simdjson::SUCCESS) return std::string(text);
  return simdjson::minify(value);
}

void PrintTable(simdjson::dom::array columns, simdjson::dom::array rows) {
  std::vector<std::string> names;
  std::vector<bool> numeric;
  for (simdjson::dom::element column : columns) {
    std::string_view name, type;
    if (column["name"].get(name) != simdjson::SUCCESS ||
        column["type"].get(type) != simdjson::SUCCESS)
      return;
    names.emplace_back(name);
    numeric.push_back(type.find("INT") != std::string_view::npos || type.starts_with("DECIMAL") ||
                      type == "DOUBLE" || type == "FLOAT");
  }
  std::vector<std::vector<std::string>> cells;
  for (simdjson::dom::element row : rows) {
    std::vector<std::string>& line = cells.emplace_back();
    for (simdjson::dom::element value : row.get_array()) line.push_back(CellText(value));
  }
  const bool wrap = names.size() > 1;
  std::vector<size_t> widths;
  for (const std::string& name : names) widths.push_back(Width(name));
  for (const auto& line : cells) {
    for (size_t i = 0; i < line.size(); ++i) {
      widths[i] =
          std::max(widths[i], wrap ? std::min(Width(line[i]), kCellWidthMax) : Width(line[i]));
    }
  }
  const auto print = [&](const std::vector<std::string>& line, bool header) {
    std::string out;
    for (size_t i = 0; i < line.size(); ++i) {
      const size_t width = Width(line[i]);
      const std::string padding(width < widths[i] ? widths[i] - width : 0, ' ');
      if (i > 0) out += " | ";
      out += numeric[i] && !header  ? padding + line[i]
             : i + 1 == line.size() ? line[i]
                                    : line[i] + padding;
    }
    std::printf("%s\n", out.c_str());
  };
  print(names, true);
  std::string rule;
  for (size_t i = 0; i < widths.size(); ++i)
    rule += (i > 0 ? "-+-" : "") + std::string(widths[i], '-');
  std::printf("%s\n", rule.c_str());
  for (const auto& line : cells) print(line, false);
}

Status PrintAnswer(const net::ClientAnswer& answer, double seconds, bool timing) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const simdjson::padded_string padded(answer.body);
  if (parser.parse(padded).get(document) != simdjson::SUCCESS) return ErrorOfAnswer(answer);
  simdjson::dom::array columns, rows;
  if (document["columns"].get(columns) == simdjson::SUCCESS &&
      document["rows"].get(rows) == simdjson::SUCCESS && columns.size() > 0) {
    PrintTable(columns, rows);
    std::printf("(%zu row%s)\n", rows.size(), rows.size() == 1 ? "" : "s");
  } else {
    std::string_view tag = "done";
    int64_t affected = 0;
    if (document["tag"].get(tag) != simdjson::SUCCESS) tag = "done";
    if (document["affected"].get(affected) == simdjson::SUCCESS &&
        (tag == "INSERT" || tag == "UPDATE" || tag == "DELETE")) {
      std::printf("%.*s %lld\n", static_cast<int>(tag.size()), tag.data(),
                  static_cast<long long>(affected));
    } else {
      std::printf("%.*s\n", static_cast<int>(tag.size()), tag.data());
    }
  }
  simdjson::dom::array notices;
  if (document["notices"].get(notices) == simdjson::SUCCESS) {
    for (simdjson::dom::element notice : notices) {
      std::string_view text;
      if (notice.get(text) == simdjson::SUCCESS)
        std::printf("note: %.*s\n", static_cast<int>(text.size()), text.data());
    }
  }
  if (timing) std::printf("Time: %.1f ms\n", seconds * 1000);
  return Ok();
}

Status RunOne(net::HttpClient& client, const std::string& text, const std::string& format,
              bool timing) {
  const auto start = Tick();
  net::ClientRequest request;
  request.method = "POST";
  request.target = "/v1/sql";
  request.body = text;
  const bool csv = format == "csv";
  const bool lines = format == "ndjson" || format == "json";
  request.headers = {{"Content-Type", "application/sql"},
                     {"Accept", csv                  ? "text/csv"
                                : format == "ndjson" ? "application/x-ndjson"
                                                     : "application/json"}};
  TRY(const net::ClientAnswer answer, client.Send(request));
  if (answer.status != 200) return ErrorOfAnswer(answer);
  if (csv || lines) {
    std::fwrite(answer.body.data(), 1, answer.body.size(), stdout);
    return Ok();
  }
  return PrintAnswer(answer, SecondsSince(start), timing);
}

// True when the text ends a statement: a semicolon outside quotes and comments at its end.
bool Ends(const std::string& text) {
  char quote = 0;
  bool ended = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
      ended = false;
    } else if (c == '-' && i + 1 < text.size() && text[i + 1] == '-') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == ';') {
      ended = true;
    } else if (!std::isspace(static_cast<unsigned char>(c))) {
      ended = false;
    }
  }
  return ended && quote == 0;
}

Status Prompt(net::HttpClient& client, const std::string& format) {
  const char* home = std::getenv("HOME");
  const std::string history = std::string(home == nullptr ? "." : home) + "/.millrace_history";
  using_history();
  read_history(history.c_str());
  std::printf("millrace. Statements end with a semicolon; \\timing, \\q.\n");
  bool timing = false;
  std::string text;
  while (char* line = readline(text.empty() ? "millrace> " : "      ... ")) {
    const std::string input(line);
    std::free(line);
    if (text.empty() && (input == "\\q" || input == "exit" || input == "quit")) break;
    if (text.empty() && input == "\\timing") {
      timing = !timing;
      std::printf("timing is %s\n", timing ? "on" : "off");
      continue;
    }
    if (text.empty() && input.empty()) continue;
    text += (text.empty() ? "" : "\n") + input;
    if (!Ends(text)) continue;
    add_history(text.c_str());
    write_history(history.c_str());
    if (Status status = RunOne(client, text, format, timing); !status.ok()) {
      std::printf("error: %s\n", status.error().ToString().c_str());
      client.Close();
    }
    text.clear();
  }
  return Ok();
}

}  // namespace

Status Sql(const SqlOptions& options) {
  TRY(net::HttpClient client, FindNode(options.node));
  if (!options.text.empty()) return RunOne(client, options.text, options.format, false);
  if (isatty(STDIN_FILENO) == 1) return Prompt(client, options.format);
  const std::string text((std::istreambuf_iterator<char>(std::cin)),
                         std::istreambuf_iterator<char>());
  return RunOne(client, text, options.format, false);
}

}  // namespace millrace::cli
