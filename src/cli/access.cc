#include "cli/access.h"

#include <termios.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>

#include "auth/store.h"
#include "cli/project.h"
#include "cli/settings.h"

namespace millrace::cli {

namespace {

constexpr int64_t kLifetimeSecondsMax = 100LL * 366 * 86'400;
constexpr char kPasswordVariable[] = "MILLRACE_PASSWORD";

Result<auth::Store> OpenStore(const AccessOptions& options) {
  TRY(const auto toml, ReadSettings(options.project));
  const Settings settings = ResolveSettings(options.flags, toml, options.project);
  const std::string& data = settings.at("data").value;
  TRY(const bool exists, Files::System().Exists(data));
  if (!exists && settings.at("data").origin == "default") {
    TRY(const bool project, Files::System().Exists(options.project));
    if (!project) return Error(Code::kNotFound, "there is no project {}", Quoted(options.project));
  }
  return auth::Store(Files::System(), data);
}

Result<auth::Scopes> ParseScopes(const std::vector<std::string>& texts) {
  std::vector<auth::Scope> scopes;
  for (const std::string& text : texts) {
    TRY(auth::Scope scope, auth::ParseScope(text));
    scopes.push_back(std::move(scope));
  }
  return auth::Scopes(std::move(scopes));
}

std::string TimeText(Micros at) {
  if (at.value == 0) return "never";
  const time_t seconds = static_cast<time_t>(at.value / 1'000'000);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &parts);
  return std::string(text, size);
}

std::string RateText(const auth::Principal& principal) {
  return principal.rate.limited() ? auth::ToString(principal.rate) : "any";
}

Result<auth::Rate> ParseRate(const std::string& text) {
  auto rate = auth::ParseRate(text);
  if (!rate.ok()) return std::move(rate).error().With("--rate");
  return rate;
}

// Columns as wide as what is in them.
void PrintColumns(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths(lines.front().size());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    std::string out;
    for (size_t i = 0; i < line.size(); ++i)
      out += i + 1 == line.size() ? line[i] : fmt::format("{:{}}  ", line[i], widths[i]);
    std::printf("%s\n", out.c_str());
  }
}

// Of a terminal, without showing what is typed.
Result<std::string> Ask(const char* prompt) {
  termios shown{};
  if (::tcgetattr(STDIN_FILENO, &shown) != 0)
    return Error(Code::kIo, "the terminal cannot be told not to show the password");
  termios hidden = shown;
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  std::fprintf(stderr, "%s", prompt);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  std::string text;
  const bool read = static_cast<bool>(std::getline(std::cin, text));
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
  std::fprintf(stderr, "\n");
  if (!read) return Error(Code::kCancelled, "no password was typed");
  return text;
}

Result<std::string> ReadPassword() {
  if (const char* given = std::getenv(kPasswordVariable); given != nullptr)
    return std::string(given);
  std::string password;
  if (::isatty(STDIN_FILENO) == 1) {
    TRY(password, Ask("Password: "));
    TRY(const std::string again, Ask("Again: "));
    if (password != again) return Error(Code::kInvalidArgument, "the two passwords differ");
    return password;
  }
  if (!std::getline(std::cin, password)) {
    return Error(Code::kInvalidArgument, "there is no password on standard input")
        .Hint(fmt::format("type it at a terminal, pipe it in, or set {}", kPasswordVariable));
  }
  return password;
}

}  // namespace

Result<int64_t> ParseLifetime(const std::string& text) {
  if (text.empty()) return int64_t{0};
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  const std::string_view unit(parsed.ptr, static_cast<size_t>(end - parsed.ptr));
  const int64_t seconds = unit == "d"   ? 86'400
                          : unit == "h" ? 3'600
                          : unit == "m" ? 60
                          : unit == "s" ? 1
                                        : 0;
  if (parsed.ec != std::errc() || seconds == 0 || number < 1 ||
      number > kLifetimeSecondsMax / seconds) {
    return Error(Code::kInvalidArgument, "--expires {} is no time", Quoted(text))
        .Hint("write 90d, 12h, 30m or 45s");
  }
  return number * seconds;
}

Status CreateToken(const AccessOptions& options) {
  TRY(const auth::Scopes scopes, ParseScopes(options.scopes));
  TRY(const int64_t lifetime, ParseLifetime(options.expires));
  TRY(const auth::Rate rate, ParseRate(options.rate));
  TRY(auth::Store store, OpenStore(options));
  TRY(const auth::NewToken token,
      store.CreateToken(scopes, std::chrono::seconds(lifetime), options.note, rate));
  std::printf("%s\n", token.text.c_str());
  std::fprintf(stderr, "keep it: it is not shown again. Its id is %s\n", token.id.c_str());
  return Ok();
}

Status ListTokens(const AccessOptions& options) {
  TRY(auth::Store store, OpenStore(options));
  TRY(const auth::Principals principals, store.Read());
  TRY(const auto uses, store.ReadUses());
  std::vector<std::vector<std::string>> lines = {
      {"ID", "CREATED", "EXPIRES", "LAST USED", "RATE", "SCOPES", "NOTE"}};
  const Micros now = Clock::System().Now();
  for (const auto& [id, token] : principals.tokens) {
    const auth::Principal& principal = *token.principal;
    const bool expired = principal.expires.value != 0 && principal.expires <= now;
    const auto used = uses.find(id);
    lines.push_back({id, TimeText(principal.created),
                     expired ? "expired" : TimeText(principal.expires),
                     TimeText(used == uses.end() ? Micros{} : used->second), RateText(principal),
                     auth::ToString(principal.scopes), token.note});
  }
  PrintColumns(lines);
  return Ok();
}

Status RevokeToken(const AccessOptions& options) {
  TRY(auth::Store store, OpenStore(options));
  return store.RevokeToken(options.name);
}

Status CreateUser(const AccessOptions& options) {
  TRY(auth::CheckUserName(options.name));
  TRY(const auth::Scopes scopes, ParseScopes(options.scopes));
  TRY(auth::Store store, OpenStore(options));
  TRY(const auth::Rate rate, ParseRate(options.rate));
  TRY(const std::string password, ReadPassword());
  return store.CreateUser(options.name, password, scopes, options.replace, rate);
}

Status ListUsers(const AccessOptions& options) {
  TRY(auth::Store store, OpenStore(options));
  TRY(const auth::Principals principals, store.Read());
  std::vector<std::vector<std::string>> lines = {{"USER", "CREATED", "RATE", "SCOPES"}};
  for (const auto& [name, user] : principals.users) {
    lines.push_back({name, TimeText(user.principal->created), RateText(*user.principal),
                     auth::ToString(user.principal->scopes)});
  }
  PrintColumns(lines);
  return Ok();
}

Status DropUser(const AccessOptions& options) {
  TRY(auth::Store store, OpenStore(options));
  return store.DropUser(options.name);
}

}  // namespace millrace::cli
