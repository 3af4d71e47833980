#include "cli/cli.h"

#include <rocksdb/version.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/logging.h"
#include "cli/load.h"
#include "cli/run.h"
#include "cli/sql_client.h"
#include "cli/version.h"
#include "sql/database.h"

namespace millrace::cli {

std::string VersionText() {
  return fmt::format("millrace {} (DuckDB {}, RocksDB {}.{}.{})", kVersion, sql::Database::DuckDbVersion(), ROCKSDB_MAJOR, ROCKSDB_MINOR,
                     ROCKSDB_PATCH);
}

namespace {

int Report(const Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "error: %s\n", status.error().ToString().c_str());
  return 1;
}

// The settings' flags of a command, by name.
struct SettingFlags {
  std::map<std::string, std::string> values{{"data", ""}, {"http", ""}, {"workers", ""}, {"memory", ""}};

  void AddTo(CLI::App& command) {
    command.add_option("--data", values["data"], "Data directory (default PROJECT/.millrace)");
    command.add_option("--http", values["http"], "HTTP listener HOST:PORT, or off (default 127.0.0.1:8080)");
    command.add_option("--workers", values["workers"], "Engine workers (default: one per core)");
    command.add_option("--memory", values["memory"], "Memory of the node, as 2GiB (default: 70 % of the machine)");
  }
  std::map<std::string, std::string> Given() const {
    std::map<std::string, std::string> given;
    for (const auto& [name, value] : values) {
      if (!value.empty()) given[name] = value;
    }
    return given;
  }
};

}  // namespace

int Main(int argc, char** argv) {
  CLI::App app{"Millrace: streams, incremental SQL views and their APIs in one binary.\n\n"
               "  millrace run examples/shop\n"
               "  millrace load order_lines examples/shop/data/order_lines.csv.zst\n"
               "  millrace sql 'SELECT * FROM revenue_by_day ORDER BY day LIMIT 3'"};
  app.name("millrace");
  app.require_subcommand(1);
  bool verbose = false;
  app.add_flag("-v,--verbose", verbose, "Log what happens to standard error");

  RunOptions run;
  SettingFlags run_flags;
  CLI::App* run_command = app.add_subcommand("run", "Apply a project and serve it until Ctrl-C\n\n  millrace run examples/shop");
  run_command->add_option("PROJECT", run.project, "Folder with *.sql files")->required();
  run_flags.AddTo(*run_command);
  run_command->add_option("--allow-drop", run.allow_drop, "Objects whose data may be lost");
  run_command->add_option("--step-rows", run.step_rows_max, "About how many records a step takes (default 200000)")
      ->check(CLI::PositiveNumber);

  PlanOptions plan;
  SettingFlags plan_flags;
  CLI::App* plan_command = app.add_subcommand("plan", "Show what run would change, and what it costs\n\n  millrace plan examples/shop");
  plan_command->add_option("PROJECT", plan.project, "Folder with *.sql files")->required();
  plan_flags.AddTo(*plan_command);

  PlanOptions config;
  SettingFlags config_flags;
  CLI::App* config_command = app.add_subcommand("config", "Print each setting and where it comes from\n\n  millrace config examples/shop");
  config_command->add_option("PROJECT", config.project, "Folder with *.sql files")->required();
  config_flags.AddTo(*config_command);

  LoadOptions load;
  CLI::App* load_command = app.add_subcommand(
      "load", "Send files into a stream; loading again adds nothing twice\n\n  millrace load order_lines lines.csv.zst");
  load_command->add_option("STREAM", load.stream, "Stream to fill")->required();
  load_command->add_option("FILE", load.files, "CSV with header, NDJSON or JSON; plain, gzip or zstd; - is standard input")->required();
  load_command->add_option("--format", load.format, "csv, json or ndjson (default: by the file's name)")
      ->check(CLI::IsMember({"csv", "json", "ndjson", "parquet"}));
  load_command->add_option("--url", load.url, "Node to talk to (default: MILLRACE_URL, ./.millrace, http://127.0.0.1:8080)");
  load_command->add_option("--id", load.id, "Name of standard input, by which its rows are known again");
  load_command->add_flag("--again", load.again, "Load rows that were loaded before a second time");
  load_command->add_flag("--quiet", load.quiet, "No progress");

  std::string replay_stream, replay_url;
  CLI::App* replay_command = app.add_subcommand("replay", "Send a stream's quarantined rows again\n\n  millrace replay order_lines");
  replay_command->add_option("STREAM", replay_stream, "Stream whose quarantine is sent")->required();
  replay_command->add_option("--url", replay_url, "Node to talk to");

  SqlOptions sql;
  CLI::App* sql_command = app.add_subcommand("sql", "Run a statement, or open a prompt\n\n  millrace sql 'SHOW VIEWS'");
  sql_command->add_option("STATEMENT", sql.text, "SQL; none: a prompt, or standard input");
  sql_command->add_option("-f,--format", sql.format, "table, json, csv or ndjson")->check(CLI::IsMember({"table", "json", "csv", "ndjson"}));
  sql_command->add_option("--url", sql.url, "Node to talk to");

  CLI::App* version_command = app.add_subcommand("version", "Print the versions");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (verbose) SetLogLevel(LogLevel::kInfo);
  if (run_command->parsed()) {
    run.flags = run_flags.Given();
    return Report(Run(run));
  }
  if (plan_command->parsed()) {
    plan.flags = plan_flags.Given();
    return Report(Plan(plan));
  }
  if (config_command->parsed()) {
    config.flags = config_flags.Given();
    return Report(Config(config));
  }
  if (load_command->parsed()) return Report(Load(load));
  if (replay_command->parsed()) return Report(Replay(replay_stream, replay_url));
  if (sql_command->parsed()) return Report(Sql(sql));
  if (version_command->parsed()) std::printf("%s\n", VersionText().c_str());
  return 0;
}

}  // namespace millrace::cli
