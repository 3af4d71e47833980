#include "cli/node_options.h"

namespace millrace::cli {

Result<runtime::NodeOptions> NodeOptionsOf(const std::string& project_folder,
                                           const Settings& settings) {
  TRY(CheckSettings(settings));
  runtime::NodeOptions options;
  options.data_directory = settings.at("data").value;
  options.project_directory = project_folder;
  options.allowed_files = {project_folder};
  TRY(options.workers, WorkersOf(settings));
  TRY(options.memory_bytes, MemoryOf(settings));
  TRY(options.column_cache_bytes, ColumnCacheOf(settings));
  TRY(options.disk_reserve_bytes, DiskReserveOf(settings));
  TRY(options.view_step_seconds_max, ViewStepSecondsOf(settings));
  return options;
}

}  // namespace millrace::cli
