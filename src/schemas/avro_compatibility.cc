#include "schemas/avro_compatibility.h"

#include <algorithm>
#include <set>

namespace millrace::schemas {

namespace {

std::string BareName(const std::string& full_name) {
  const size_t dot = full_name.rfind('.');
  return dot == std::string::npos ? full_name : full_name.substr(dot + 1);
}

// The specification compares unqualified names; a reader's alias may stand for the writer's name.
bool SameName(const AvroType& reader, const AvroType& writer) {
  if (BareName(reader.name) == BareName(writer.name)) return true;
  return std::any_of(reader.aliases.begin(), reader.aliases.end(),
                     [&](const std::string& alias) { return alias == writer.name; });
}

bool Promotes(AvroKind from, AvroKind to) {
  switch (from) {
    case AvroKind::kInt:
      return to == AvroKind::kLong || to == AvroKind::kFloat || to == AvroKind::kDouble;
    case AvroKind::kLong:
      return to == AvroKind::kFloat || to == AvroKind::kDouble;
    case AvroKind::kFloat:
      return to == AvroKind::kDouble;
    case AvroKind::kString:
      return to == AvroKind::kBytes;
    case AvroKind::kBytes:
      return to == AvroKind::kString;
    default:
      return false;
  }
}

// Aliases and unions can make a comparison as large as one likes.
constexpr int kComparisonsMax = 1'000'000;

class AvroComparison {
 public:
  explicit AvroComparison(int& left) : left_(left) {}

  // Appends what stands in the way.
  void Compare(const AvroType& reader, const AvroType& writer, const std::string& place) {
    if (problems.size() >= kProblemsMax) return;
    if (--left_ < 0) return Add(place, "the schemas are too complex to compare");
    if (!seen_.insert({&reader, &writer}).second) return;  // a type within itself
    if (writer.kind == AvroKind::kUnion) {
      // Every value that may have been written must be readable.
      for (const AvroType* branch : writer.branches) {
        if (reader.kind == AvroKind::kUnion) {
          CompareToUnion(reader, *branch, place);
        } else {
          Compare(reader, *branch, place);
        }
      }
      return;
    }
    if (reader.kind == AvroKind::kUnion) return CompareToUnion(reader, writer, place);
    if (reader.kind != writer.kind) {
      if (!Promotes(writer.kind, reader.kind)) Mismatch(reader, writer, place);
      return;
    }
    switch (reader.kind) {
      case AvroKind::kRecord:
        return CompareRecords(reader, writer, place);
      case AvroKind::kEnum:
        return CompareEnums(reader, writer, place);
      case AvroKind::kFixed:
        if (!SameName(reader, writer)) return Mismatch(reader, writer, place);
        if (reader.size != writer.size)
          Add(place, fmt::format("fixed {} has {} bytes, and had {}", reader.name, reader.size,
                                 writer.size));
        return;
      case AvroKind::kArray:
        return Compare(*reader.element, *writer.element, place + ".items");
      case AvroKind::kMap:
        return Compare(*reader.element, *writer.element, place + ".values");
      default:
        break;
    }
    if ((reader.logical == AvroLogical::kDecimal || writer.logical == AvroLogical::kDecimal) &&
        reader.logical == writer.logical &&
        (reader.scale != writer.scale || reader.precision != writer.precision))
      Add(place, fmt::format("decimal({}, {}) was decimal({}, {})", reader.precision, reader.scale,
                             writer.precision, writer.scale));
  }

  std::vector<std::string> problems;

 private:
  static constexpr size_t kProblemsMax = 100;

  void Add(const std::string& place, std::string_view what) {
    problems.push_back(fmt::format("{}: {}", place, what));
  }

  void Mismatch(const AvroType& reader, const AvroType& writer, const std::string& place) {
    Add(place, fmt::format("{} cannot be read as {}", writer.Describe(), reader.Describe()));
  }

  void CompareToUnion(const AvroType& reader, const AvroType& writer, const std::string& place) {
    for (const AvroType* branch : reader.branches) {
      AvroComparison alone(left_);
      alone.seen_ = seen_;
      alone.Compare(*branch, writer, place);
      if (alone.problems.empty()) return;
    }
    Add(place, fmt::format("no branch of the union reads {}", writer.Describe()));
  }

  void CompareRecords(const AvroType& reader, const AvroType& writer, const std::string& place) {
    if (!SameName(reader, writer)) return Mismatch(reader, writer, place);
    for (const AvroType::Field& field : reader.fields) {
      const std::string here = fmt::format("{}.{}", place, field.name);
      const auto written =
          std::find_if(writer.fields.begin(), writer.fields.end(), [&](const auto& other) {
            return other.name == field.name || std::find(field.aliases.begin(), field.aliases.end(),
                                                         other.name) != field.aliases.end();
          });
      if (written != writer.fields.end()) {
        Compare(*field.type, *written->type, here);
      } else if (!field.default_json) {
        Add(here, "the field is new and has no default");
      }
    }
  }

  void CompareEnums(const AvroType& reader, const AvroType& writer, const std::string& place) {
    if (!SameName(reader, writer)) return Mismatch(reader, writer, place);
    if (reader.default_symbol) return;
    for (const std::string& symbol : writer.symbols) {
      if (std::find(reader.symbols.begin(), reader.symbols.end(), symbol) == reader.symbols.end())
        Add(place,
            fmt::format("symbol {} is gone and enum {} has no default", symbol, reader.name));
    }
  }

  int& left_;  // comparisons that may still be made
  std::set<std::pair<const AvroType*, const AvroType*>> seen_;
};

}  // namespace

std::vector<std::string> AvroReadProblems(const AvroSchema& reader, const AvroSchema& writer) {
  int left = kComparisonsMax;
  AvroComparison comparison(left);
  comparison.Compare(reader.root(), writer.root(), "$");
  return std::move(comparison.problems);
}

}  // namespace millrace::schemas
