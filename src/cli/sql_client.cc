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

// An answer of POST /v1/sql, as a person reads it.
struct Answer {
  std::vector<std::string> names;
  std::vector<bool> numeric;
  std::vector<std::vector<std::string>> cells;  // one line a row
  std::string tag = "done";
  int64_t affected = 0;
  std::vector<std::string> notices;
};

// Numbers keep every digit that was sent: they are not read as numbers.
std::string CellText(simdjson::ondemand::value value) {
  if (value.is_null()) return "";
  if (value.type() == simdjson::ondemand::json_type::string)
    return std::string(std::string_view(value.get_string()));
  return std::string(std::string_view(simdjson::to_json_string(value)));
}

// In the order in which the node writes the members. Throws simdjson_error.
Answer ReadAnswer(simdjson::ondemand::document& document) {
  Answer answer;
  for (auto member : document.get_object()) {
    const std::string_view key = member.unescaped_key();
    simdjson::ondemand::value value = member.value();
    if (key == "columns") {
      for (simdjson::ondemand::object column : value.get_array()) {
        answer.names.emplace_back(std::string_view(column["name"]));
        const std::string_view type = column["type"];
        answer.numeric.push_back(type.find("INT") != std::string_view::npos ||
                                 type.starts_with("DECIMAL") || type == "DOUBLE" ||
                                 type == "FLOAT");
      }
    } else if (key == "tag") {
      answer.tag = std::string_view(value.get_string());
    } else if (key == "affected") {
      answer.affected = value.get_int64();
    } else if (key == "notices") {
      for (const std::string_view notice : value.get_array()) answer.notices.emplace_back(notice);
    } else if (key == "rows") {
      for (simdjson::ondemand::array row : value.get_array()) {
        std::vector<std::string>& line = answer.cells.emplace_back();
        for (simdjson::ondemand::value cell : row) line.push_back(CellText(cell));
      }
    }
  }
  return answer;
}

void PrintTable(const Answer& answer) {
  const auto& [names, numeric, cells, tag, affected, notices] = answer;
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

Status PrintAnswer(const net::ClientAnswer& sent, double seconds, bool timing) {
  simdjson::ondemand::parser parser;
  const simdjson::padded_string padded(sent.body);
  Answer answer;
  try {
    simdjson::ondemand::document document = parser.iterate(padded);
    answer = ReadAnswer(document);
  } catch (const simdjson::simdjson_error&) {
    return ErrorOfAnswer(sent);
  }
  if (!answer.names.empty()) {
    PrintTable(answer);
    std::printf("(%zu row%s)\n", answer.cells.size(), answer.cells.size() == 1 ? "" : "s");
  } else if (answer.tag == "INSERT" || answer.tag == "UPDATE" || answer.tag == "DELETE") {
    std::printf("%s %lld\n", answer.tag.c_str(), static_cast<long long>(answer.affected));
  } else {
    std::printf("%s\n", answer.tag.c_str());
  }
  for (const std::string& notice : answer.notices) std::printf("note: %s\n", notice.c_str());
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
