#include "cli/access_commands.h"

namespace millrace::cli {

namespace {
constexpr char kScopeHelp[] =
    "What it may do; again for more: ingest:STREAM, consume:STREAM, read:ENDPOINT, read:MODEL (* "
    "for all of them), sql, metrics, admin";
constexpr char kRateHelp[] =
    "Requests it may make: 100/s, 600/m, 5000/h (default: as many as it likes)";
}  // namespace

CLI::App& AccessCommands::Add(CLI::App& group, const std::string& name,
                              const std::string& description, const std::string& examples,
                              Status (*action)(const AccessOptions&)) {
  CLI::App* command = group.add_subcommand(name, description);
  command->footer("Examples:\n" + examples);
  command->add_option("--project", options_.project, "Folder of the project (default: this one)");
  command->add_option("--data", data_, "Data directory (default PROJECT/.millrace)");
  actions_.emplace_back(command, action);
  return *command;
}

void AccessCommands::AddTo(CLI::App& app) {
  token_ = app.add_subcommand("token", "Create, list and revoke tokens, by which programs sign in");
  token_->require_subcommand(0, 1);
  CLI::App& create = Add(*token_, "create", "Make a token and print it: it is not shown again",
                         "  millrace token create --scope ingest:clicks --note 'the shop'\n"
                         "  millrace token create --scope sql --scope read:* --expires 90d "
                         "--rate 100/s",
                         CreateToken);
  create.add_option("--scope", options_.scopes, kScopeHelp)->required()->allow_extra_args(false);
  create.add_option("--expires", options_.expires, "After this time: 90d, 12h (default: never)");
  create.add_option("--rate", options_.rate, kRateHelp);
  create.add_option("--note", options_.note, "What it is for");
  Add(*token_, "list", "List tokens: what they may do and when they were last used",
      "  millrace token list", ListTokens);
  Add(*token_, "revoke", "Revoke a token: it is good for nothing within a second",
      "  millrace token revoke 5f3a0c9b11de", RevokeToken)
      .add_option("ID", options_.name, "The token's id")
      ->required();

  user_ = app.add_subcommand("user", "Create, list and drop users, who sign in by password");
  user_->require_subcommand(0, 1);
  CLI::App& user =
      Add(*user_, "create",
          "Make a user. The password is asked for, or taken from MILLRACE_PASSWORD or standard "
          "input",
          "  millrace user create alice --scope admin\n"
          "  pass show millrace/etl | millrace user create etl --scope ingest:* --scope consume:*",
          CreateUser);
  user.add_option("NAME", options_.name, "The user's name")->required();
  user.add_option("--scope", options_.scopes, kScopeHelp)->required()->allow_extra_args(false);
  user.add_option("--rate", options_.rate, kRateHelp);
  user.add_flag("--replace", options_.replace,
                "Give a user that exists a new password, scopes and rate");
  Add(*user_, "list", "List users and what they may do", "  millrace user list", ListUsers);
  Add(*user_, "drop", "Drop a user: it is locked out within a second", "  millrace user drop alice",
      DropUser)
      .add_option("NAME", options_.name, "The user's name")
      ->required();
}

const CLI::App* AccessCommands::parsed() const {
  return token_->parsed() ? token_ : user_->parsed() ? user_ : nullptr;
}

Status AccessCommands::Run() const {
  AccessOptions options = options_;
  if (!data_.empty()) options.flags["data"] = data_;
  for (const auto& [command, action] : actions_) {
    if (command->parsed()) return action(options);
  }
  return Error(Code::kInvalidArgument, "{} needs a command", parsed()->get_name())
      .Hint(fmt::format("millrace {} --help lists what there is", parsed()->get_name()));
}

}  // namespace millrace::cli
