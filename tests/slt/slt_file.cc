#include "slt/slt_file.h"

#include <fstream>
#include <sstream>

namespace millrace::slt {

std::string Normalised(const std::string& line) {
  std::istringstream words(line);
  std::string out, word;
  while (words >> word) out += (out.empty() ? "" : " ") + word;
  return out;
}

Result<std::vector<Record>> ParseFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error(Code::kNotFound, "open {}", path);
  std::vector<Record> records;
  std::string line;
  int number = 0;
  const auto next = [&] {
    ++number;
    return static_cast<bool>(std::getline(file, line));
  };
  while (next()) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream head(line);
    std::string word, what;
    head >> word >> what;
    Record record;
    record.line = number;
    if (word == "statement") {
      if (what == "error") {
        record.kind = Record::Kind::kError;
        std::getline(head >> std::ws, record.error_pattern);
      } else if (what != "ok") {
        return Error(Code::kInvalidArgument, "{}:{}: statement {} is not known", path, number,
                     what);
      }
    } else if (word == "query") {
      record.kind = Record::Kind::kQuery;
      record.columns = what.size();
      std::string sort;
      if (head >> sort) {
        if (sort == "rowsort") {
          record.sort = Record::Sort::kRows;
        } else if (sort == "valuesort") {
          record.sort = Record::Sort::kValues;
        } else if (sort != "nosort") {
          return Error(Code::kInvalidArgument, "{}:{}: sort {} is not known", path, number, sort);
        }
      }
    } else if (word == "append") {
      record.kind = Record::Kind::kAppend;
      record.stream = what;
    } else {
      return Error(Code::kInvalidArgument, "{}:{}: {} is no record", path, number, Quoted(word));
    }
    while (next() && !line.empty() && line != "----") record.sql += line + "\n";
    if (record.kind != Record::Kind::kOk && line == "----") {
      while (next() && !line.empty()) record.expected.push_back(Normalised(line));
      // An error's expected text may stand below the line instead of behind the word.
      if (record.kind == Record::Kind::kError && record.error_pattern.empty()) {
        for (const std::string& expected : record.expected) record.error_pattern += expected;
      }
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace millrace::slt
