#include "runtime/operator_figures.h"

#include <fmt/format.h>

#include "runtime/relation.h"
#include "stream/budget.h"

namespace millrace::runtime {
namespace {

std::string Size(size_t bytes) {
  return bytes < (10 << 10) ? fmt::format("{} bytes", bytes) : stream::SizeText(bytes);
}

}  // namespace

Result<std::vector<OperatorFigures>> MeasureOnDisk(const state::Store& store,
                                                   std::vector<stream::OperatorStats> operators) {
  std::vector<OperatorFigures> all;
  for (stream::OperatorStats& stats : operators) {
    OperatorFigures figures{std::move(stats)};
    for (const state::TableId table : figures.stats.tables) {
      TRY(const size_t bytes, store.DiskBytes(table));
      figures.state_bytes_on_disk += bytes;
    }
    all.push_back(std::move(figures));
  }
  return all;
}

std::optional<double> HitRate(const OperatorFigures& figures) {
  const state::TableStats& state = figures.stats.state;
  if (state.look_ups == 0) return std::nullopt;
  return 1 - static_cast<double>(state.misses) / static_cast<double>(state.look_ups);
}

std::string OperatorText(const OperatorFigures& figures, const UserNameMap& names) {
  const stream::OperatorStats& stats = figures.stats;
  if (!stats.relation.empty()) return "relation " + UserName(names, stats.relation);
  if (!stats.output.empty()) return "output " + UserName(names, stats.output);
  return stats.description;
}

std::string SharedWith(const OperatorFigures& figures, const std::string& view,
                       const UserNameMap& names) {
  std::string others;
  for (const std::string& other : figures.stats.outputs) {
    if (other != view) others += (others.empty() ? "" : ", ") + UserName(names, other);
  }
  return others;
}

std::string FiguresText(const OperatorFigures& figures) {
  const stream::OperatorStats& stats = figures.stats;
  std::string text = fmt::format("{} rows in, {} rows out, {} steps, {:.3f} s", stats.rows_in,
                                 stats.rows_out, stats.steps, stats.seconds);
  if (stats.tables.empty()) return text;
  const state::TableStats& state = stats.state;
  text += state.entries
              ? fmt::format("; {} entries, {} of them", *state.entries, state.entries_in_memory)
              : fmt::format("; {} entries", state.entries_in_memory);
  text += fmt::format(" in memory ({}), about {} on disk", Size(state.memory_bytes),
                      Size(figures.state_bytes_on_disk));
  if (const auto hits = HitRate(figures))
    text +=
        fmt::format(", {:.1f} % of {} look-ups answered from memory", *hits * 100, state.look_ups);
  return text;
}

}  // namespace millrace::runtime
