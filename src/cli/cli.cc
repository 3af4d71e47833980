#include "cli/cli.h"

#include <rocksdb/version.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/logging.h"
#include "cli/access_commands.h"
#include "cli/backup.h"
#include "cli/config.h"
#include "cli/load.h"
#include "cli/plan.h"
#include "cli/restore.h"
#include "cli/run.h"
#include "cli/sql_client.h"
#include "cli/trace.h"
#include "cli/verify.h"
#include "cli/version.h"
#include "sql/database.h"

namespace millrace::cli {

std::string VersionText() {
  return fmt::format("millrace {} (DuckDB {}, RocksDB {}.{}.{})", kVersion,
                     sql::Database::DuckDbVersion(), ROCKSDB_MAJOR, ROCKSDB_MINOR, ROCKSDB_PATCH);
}

namespace {

constexpr int kWrongCommandLine = 2;
constexpr char kUrlHelp[] =
    "Node to talk to (default: MILLRACE_URL, ./.millrace, http://127.0.0.1:8080)";
constexpr char kProjectHelp[] = "Folder with *.sql files";

int Report(const Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "error: %s\n", status.error().ToString().c_str());
  return 1;
}

// Of a command that talks to a node.
void AddNodeFlags(CLI::App& command, NodeFlags& node, const std::string& more = {}) {
  command.add_option("--url", node.url, kUrlHelp + more);
  command.add_option("--ca", node.authorities,
                     "PEM file of the authorities that the node's certificate is trusted by "
                     "(default: MILLRACE_CA, the system's)");
}

// The settings' flags of a command, by name.
struct SettingFlags {
  std::map<std::string, std::string> values{{"data", ""},
                                            {"http", ""},
                                            {"http_cors_origins", ""},
                                            {"kafka", ""},
                                            {"pg", ""},
                                            {"kafka_advertised", ""},
                                            {"kafka_auto_create", ""},
                                            {"kafka_client_produce_quota", ""},
                                            {"kafka_client_fetch_quota", ""},
                                            {"kafka_stream_produce_quota", ""},
                                            {"kafka_stream_fetch_quota", ""},
                                            {"workers", ""},
                                            {"io_threads", ""},
                                            {"memory", ""},
                                            {"column_cache", ""},
                                            {"disk_reserve", ""},
                                            {"view_step_seconds", ""},
                                            {"log_level", ""},
                                            {"auth", ""},
                                            {"tls", ""},
                                            {"tls_certificate", ""},
                                            {"tls_key", ""}};

  void AddTo(CLI::App& command) {
    command.add_option("--data", values["data"], "Data directory (default PROJECT/.millrace)");
    command.add_option("--http", values["http"],
                       "HTTP listener HOST:PORT, or off (default 127.0.0.1:8080)");
    command.add_option("--http-cors-origins", values["http_cors_origins"],
                       "Origins of web pages that may use the node from a browser, as "
                       "https://app.example; several with commas, * for all (default none)");
    command.add_option("--kafka", values["kafka"],
                       "Kafka listener HOST:PORT, or off (default 127.0.0.1:9092)");
    command.add_option("--pg", values["pg"],
                       "PostgreSQL listener HOST:PORT, or off (default 127.0.0.1:5432)");
    command.add_option("--kafka-advertised", values["kafka_advertised"],
                       "HOST:PORT at which Kafka clients reach the listener (default: where it "
                       "listens)");
    command.add_option("--kafka-auto-create", values["kafka_auto_create"],
                       "Whether a topic that a Kafka client names is made, as a raw stream: on or "
                       "off (default on)");
    AddQuotas(command);
    command.add_option("--workers", values["workers"], "Engine workers (default: one per core)");
    command.add_option("--io-threads", values["io_threads"],
                       "Threads for the connections of each listener (default: one per core)");
    command.add_option("--memory", values["memory"],
                       "Memory of the node, as 2GiB (default: 70 % of the machine)");
    command.add_option("--column-cache", values["column_cache"],
                       "Disk for streams in columns, which speed up ad-hoc queries, as 4GiB; off, "
                       "or 0: none (default 4GiB)");
    command.add_option("--disk-reserve", values["disk_reserve"],
                       "Disk that stays free, as 1GiB: with less, appends are refused; off: none "
                       "(default auto: 5 % of the disk, from 1GiB to 4GiB)");
    command.add_option("--view-step-seconds", values["view_step_seconds"],
                       "CPU seconds that an operator of a view may take in a step before the view "
                       "fails (default 10)");
    command.add_option("--log-level", values["log_level"],
                       "What is logged to standard error: debug, info, warning, error or off "
                       "(default warning)");
    command.add_option(
        "--auth", values["auth"],
        "Whether clients must sign in: on, off, or auto: where a listener is open to "
        "other machines, or a user or token exists (default auto)");
    command.add_option("--tls-certificate", values["tls_certificate"],
                       "PEM file of the TLS certificate and its chain; read again when it changes");
    command.add_option("--tls-key", values["tls_key"], "PEM file of its key, not encrypted");
    command.add_option(
        "--tls", values["tls"],
        "Which listeners speak TLS: http, kafka, pg or several as http,kafka; off, or auto: "
        "all, where there is a certificate (default auto)");
  }
  void AddQuotas(CLI::App& command) {
    command.add_option("--kafka-client-produce-quota", values["kafka_client_produce_quota"],
                       "Bytes a second that each Kafka client may write, as 10MB (default off)");
    command.add_option("--kafka-client-fetch-quota", values["kafka_client_fetch_quota"],
                       "Bytes a second that each Kafka client may read (default off)");
    command.add_option("--kafka-stream-produce-quota", values["kafka_stream_produce_quota"],
                       "Bytes a second that Kafka clients may write to each stream (default off)");
    command.add_option("--kafka-stream-fetch-quota", values["kafka_stream_fetch_quota"],
                       "Bytes a second that Kafka clients may read of each stream (default off)");
  }
  std::map<std::string, std::string> Given() const {
    std::map<std::string, std::string> given;
    for (const auto& [name, value] : values) {
      if (!value.empty()) given[name] = value;
    }
    return given;
  }
};

// The table of commands: what each takes, its help, and what it does.
class Commands {
 public:
  Commands() {
    app_.name("millrace");
    app_.footer(
        "Examples:\n"
        "  millrace run examples/shop\n"
        "  millrace load order_lines examples/shop/data/order_lines.csv.zst\n"
        "  millrace sql 'SELECT * FROM revenue_by_day ORDER BY day LIMIT 3'\n"
        "  millrace COMMAND --help");
    // None is refused below: CLI11 would say so before it looks at what it does not know.
    app_.require_subcommand(0, 1);
    app_.set_version_flag("--version", VersionText(), "Print the versions");
    app_.add_flag("-v,--verbose", verbose_, "Log what happens to standard error");
    AddRun();
    AddPlan();
    AddConfig();
    AddLoad();
    AddReplay();
    AddTrace();
    AddBackup();
    AddRestore();
    AddVerify();
    AddSql();
    access_.AddTo(app_);
    Add("version", "Print the versions", "  millrace version",
        [] { return std::printf("%s\n", VersionText().c_str()) < 0 ? 1 : 0; });
  }

  int Run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ExtrasError&) {
      return ReportUnknown();
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? 0 : kWrongCommandLine;
    }
    if (verbose_) SetLogLevel(LogLevel::kInfo);
    for (const auto& [command, action] : actions_) {
      if (command->parsed()) return action();
    }
    if (access_.parsed() != nullptr) return Report(access_.Run());
    std::fputs("error: a command is needed\n  millrace --help lists what there is\n", stderr);
    return kWrongCommandLine;
  }

 private:
  CLI::App& Add(const std::string& name, const std::string& description,
                const std::string& examples, std::function<int()> action) {
    CLI::App* command = app_.add_subcommand(name, description);
    command->footer("Examples:\n" + examples);
    actions_.emplace_back(command, std::move(action));
    return *command;
  }

  void AddRun() {
    CLI::App& command = Add("run", "Apply a project and serve it until Ctrl-C",
                            "  millrace run examples/shop\n"
                            "  millrace run shop --data /var/lib/shop --http 127.0.0.1:9000",
                            [this] {
                              run_.flags = run_flags_.Given();
                              return Report(cli::Run(run_));
                            });
    command.add_option("PROJECT", run_.project, kProjectHelp)->required();
    run_flags_.AddTo(command);
    command.add_option("--allow-drop", run_.allow_drop, "Objects whose data may be lost");
    command
        .add_option("--step-rows", run_.step_rows_max,
                    "About how many records a step takes (default 200000)")
        ->check(CLI::PositiveNumber);
  }

  void AddPlan() {
    CLI::App& command =
        Add("plan", "Show what run would change, and what it costs, without doing it",
            "  millrace plan examples/shop", [this] {
              plan_.flags = plan_flags_.Given();
              return Report(Plan(plan_));
            });
    command.add_option("PROJECT", plan_.project, kProjectHelp)->required();
    plan_flags_.AddTo(command);
  }

  void AddConfig() {
    CLI::App& command = Add("config", "Print each setting and where it comes from",
                            "  millrace config examples/shop\n"
                            "  MILLRACE_HTTP=127.0.0.1:9000 millrace config examples/shop",
                            [this] {
                              config_.flags = config_flags_.Given();
                              return Report(Config(config_));
                            });
    command.add_option("PROJECT", config_.project, "Folder of the project (default: this one)");
    config_flags_.AddTo(command);
  }

  void AddLoad() {
    CLI::App& command =
        Add("load", "Send files into a stream; loading again adds nothing twice",
            "  millrace load order_lines lines.csv.zst\n"
            "  millrace load clicks 2024-05-*.parquet\n"
            "  zcat clicks.gz | millrace load clicks - --format ndjson --id clicks-of-may",
            [this] { return Report(Load(load_)); });
    command.add_option("STREAM", load_.stream, "Stream to fill")->required();
    command
        .add_option("FILE", load_.files,
                    "CSV with header, NDJSON or JSON, plain or packed with gzip or zstd; Parquet; "
                    "- is standard input")
        ->required();
    command
        .add_option("--format", load_.format,
                    "csv, json, ndjson or parquet (default: by the file's name)")
        ->check(CLI::IsMember({"csv", "json", "ndjson", "parquet"}));
    AddNodeFlags(command, load_.node);
    command.add_option("--id", load_.id, "Name of standard input, by which its rows are known");
    command.add_flag("--again", load_.again, "Load rows that were loaded before a second time");
    command.add_flag("--quiet", load_.quiet, "No progress");
  }

  void AddReplay() {
    CLI::App& command =
        Add("replay", "Send a stream's quarantined rows again", "  millrace replay order_lines",
            [this] { return Report(Replay(replay_stream_, replay_node_)); });
    command.add_option("STREAM", replay_stream_, "Stream whose quarantine is sent")->required();
    AddNodeFlags(command, replay_node_);
  }

  void AddTrace() {
    CLI::App& command =
        Add("trace", "Show one record's way: where it lies, what became of it, who has it",
            "  millrace trace order_lines/2/17", [this] { return Report(Trace(trace_)); });
    command.add_option("RECORD", trace_.record, "STREAM/PARTITION/OFFSET")->required();
    command.add_option("-f,--format", trace_.format, "text or json")
        ->check(CLI::IsMember({"text", "json"}));
    AddNodeFlags(command, trace_.node);
  }

  void AddBackup() {
    CLI::App& command = Add("backup", "Copy a running node's data to a folder of backups",
                            "  millrace backup /backups/shop\n"
                            "  millrace backup /backups/shop --keep 7 --url http://127.0.0.1:9000",
                            [this] { return Report(Backup(backup_)); });
    command.add_option("DIR", backup_.directory, "Folder of backups; what is in it is kept")
        ->required();
    AddNodeFlags(command, backup_.node, "; on this machine");
    command
        .add_option("--mb-per-second", backup_.megabytes_per_second,
                    "Copy no faster (default 100; 0: no limit)")
        ->check(CLI::NonNegativeNumber);
    command
        .add_option("--keep", backup_.keep,
                    "Remove all but the newest N backups when this one is made (default: keep all)")
        ->check(CLI::PositiveNumber);
    command.add_flag("--quiet", backup_.quiet, "No progress");
  }

  void AddRestore() {
    CLI::App& command = Add("restore", "Make a data directory from a backup",
                            "  millrace restore /backups/shop --data /var/lib/shop\n"
                            "  millrace restore /backups/shop --number 3 --data shop-before",
                            [this] { return Report(Restore(restore_)); });
    command.add_option("DIR", restore_.directory, "Folder of backups, or one of them")->required();
    command
        .add_option("--data", restore_.data,
                    "Data directory to make: it must not exist, or be empty")
        ->required();
    command.add_option("--number", restore_.number, "Which backup (default: the newest)")
        ->check(CLI::PositiveNumber);
    command.add_flag("--quiet", restore_.quiet, "No progress");
  }

  void AddVerify() {
    CLI::App& command =
        Add("verify", "Read all of a data directory or of backups, and name what is damaged",
            "  millrace verify --data /var/lib/shop\n"
            "  millrace verify --data /backups/shop\n"
            "The exit status is 0 where all is sound, 1 where something is damaged.",
            [this] { return Report(Verify(verify_)); });
    command
        .add_option("--data", verify_.data,
                    "Data directory of a node that does not run, or a folder of backups")
        ->required();
    command.add_flag("--quiet", verify_.quiet, "No progress");
  }

  void AddSql() {
    CLI::App& command = Add("sql", "Run a statement, or open a prompt",
                            "  millrace sql 'SHOW VIEWS'\n"
                            "  millrace sql -f csv 'FROM revenue_by_day' > days.csv\n"
                            "  millrace sql",
                            [this] { return Report(Sql(sql_)); });
    command.add_option("STATEMENT", sql_.text, "SQL; none: a prompt, or standard input");
    command.add_option("-f,--format", sql_.format, "table, json, csv or ndjson")
        ->check(CLI::IsMember({"table", "json", "csv", "ndjson"}));
    AddNodeFlags(command, sql_.node);
  }

  // Names the first argument that nobody takes, and the nearest that there is.
  int ReportUnknown() {
    const CLI::App* command = access_.parsed() != nullptr ? access_.parsed() : &app_;
    for (const auto& [each, action] : actions_) {
      if (each->parsed()) command = each;
    }
    for (const CLI::App* each : command->get_subcommands()) {
      if (command != &app_) command = each;
    }
    std::string unknown;
    for (const CLI::App* each : {command, static_cast<const CLI::App*>(&app_)}) {
      if (unknown.empty() && !each->remaining().empty()) unknown = each->remaining().front();
    }
    const bool flag = unknown.starts_with("-");
    std::vector<std::string> known;
    if (flag) {
      unknown = unknown.substr(0, unknown.find('='));
      for (const CLI::App* each : {command, static_cast<const CLI::App*>(&app_)}) {
        for (const CLI::Option* option : each->get_options()) {
          for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
        }
      }
    } else if (command == &app_) {
      for (const auto& [each, action] : actions_) known.push_back(each->get_name());
      for (const CLI::App* each : access_.groups()) known.push_back(each->get_name());
    } else {
      for (const CLI::App* each : command->get_subcommands({})) known.push_back(each->get_name());
    }
    const char* what = flag ? "flag" : command == &app_ ? "command" : "argument";
    std::fprintf(stderr, "error: unknown %s %s\n", what, Quoted(unknown).c_str());
    std::string hint = DidYouMean(unknown, known);
    if (!hint.empty()) std::fprintf(stderr, "  %s\n", hint.c_str());
    std::string name = command == &app_ ? "" : " " + command->get_name();
    if (access_.parsed() != nullptr && command != access_.parsed())
      name = " " + access_.parsed()->get_name() + name;
    std::fprintf(stderr, "  millrace%s --help lists what there is\n", name.c_str());
    return kWrongCommandLine;
  }

  CLI::App app_{"Millrace: streams, incremental SQL views and their APIs in one binary."};
  std::vector<std::pair<CLI::App*, std::function<int()>>> actions_;
  bool verbose_ = false;
  RunOptions run_;
  PlanOptions plan_;
  ConfigOptions config_;
  SettingFlags run_flags_, plan_flags_, config_flags_;
  LoadOptions load_;
  std::string replay_stream_;
  NodeFlags replay_node_;
  BackupOptions backup_;
  RestoreOptions restore_;
  VerifyOptions verify_;
  TraceOptions trace_;
  SqlOptions sql_;
  AccessCommands access_;
};

}  // namespace

int Main(int argc, char** argv) { return Commands().Run(argc, argv); }

}  // namespace millrace::cli
