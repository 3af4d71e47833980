#include "auth/access.h"

#include "auth/crypto.h"
#include "auth/scram.h"
#include "base/logging.h"

namespace millrace::auth {

namespace {

constexpr std::chrono::microseconds kSaveUsesEvery = std::chrono::minutes(1);

bool IsExpired(const Principal& principal, Micros now) {
  return principal.expires.value != 0 && principal.expires <= now;
}

}  // namespace

Access::Access(Files& files, const std::string& data_directory, const Clock& clock)
    : store_(files, data_directory, clock),
      clock_(clock),
      unknown_salt_key_(RandomBytes(kSha256Bytes)),
      uses_saved_(clock.Now()) {
  current_.store(std::make_shared<const Current>());
}

Access::~Access() { SaveUses(); }

Result<std::unique_ptr<Access>> Access::Open(Files& files, const std::string& data_directory,
                                             const Clock& clock) {
  std::unique_ptr<Access> access(new Access(files, data_directory, clock));
  TRY(access->on_disk_, access->store_.ReadUses());
  TRY(access->Load());
  return access;
}

namespace {
// What somebody has done counts on while the file changes.
template <typename Map>
void KeepMeters(const Map& before, Map& now) {
  for (auto& [name, item] : now) {
    const auto known = before.find(name);
    if (known == before.end() || known->second.principal->created != item.principal->created)
      continue;
    Principal principal = *item.principal;
    principal.meter = known->second.principal->meter;
    item.principal = std::make_shared<const Principal>(std::move(principal));
  }
}

void AddLimited(const PrincipalPtr& principal, std::string& out) {
  if (!principal->rate.limited()) return;
  out += fmt::format("auth_rate_limited_total{{{}=\"{}\"}} {}\n",
                     principal->kind == Principal::Kind::kUser ? "user" : "token", principal->name,
                     principal->meter->beyond());
}
}  // namespace

Status Access::Load() {
  TRY(std::string text, store_.ReadText());
  const std::shared_ptr<const Current> before = current_.load();
  if (text == before->text) return Ok();
  if (text.empty()) {
    return Error(Code::kNotFound, "the file of users and tokens is gone")
        .Hint("those that were in it stay good until the node stops");
  }
  auto made = std::make_shared<Current>();
  TRY(made->principals, DecodePrincipals(text));
  made->text = std::move(text);
  KeepMeters(before->principals.users, made->principals.users);
  KeepMeters(before->principals.tokens, made->principals.tokens);
  for (const auto& [id, token] : made->principals.tokens) {
    const auto known = before->uses.find(id);
    const auto stored = on_disk_.find(id);
    made->uses[id] = known != before->uses.end()
                         ? known->second
                         : std::make_shared<std::atomic<int64_t>>(
                               stored == on_disk_.end() ? 0 : stored->second.value);
  }
  if (!made->principals.empty() && !switched_off_) required_ = true;
  current_.store(std::move(made));
  return Ok();
}

void Access::Refresh() {
  const std::lock_guard lock(refreshing_);
  const Status loaded = Load();
  const std::string failure = loaded.ok() ? "" : loaded.error().message();
  if (failure != reported_ && !failure.empty())
    LOG_ERROR("users and tokens cannot be read: changes have no effect", "error=\"{}\"", failure);
  reported_ = failure;
  if (clock_.Now().value - uses_saved_.value >= kSaveUsesEvery.count()) SaveUses();
}

void Access::SaveUses() {
  std::map<std::string, Micros> uses;
  for (const auto& [id, at] : current_.load()->uses) {
    if (at->load() != 0) uses[id] = Micros{at->load()};
  }
  uses_saved_ = clock_.Now();
  if (uses == on_disk_) return;
  if (Status written = store_.WriteUses(uses); !written.ok()) {
    LOG_WARNING("when tokens were last used is not noted", "error=\"{}\"",
                written.error().message());
    return;
  }
  on_disk_ = std::move(uses);
}

Error Access::Refused() const {
  failures_.fetch_add(1);
  return Error(Code::kInvalidArgument, "unknown, wrong, revoked or expired");
}

Result<PrincipalPtr> Access::CheckSecret(std::string_view id, std::string_view secret) const {
  const std::shared_ptr<const Current> current = current_.load();
  const auto it = current->principals.tokens.find(id);
  if (it == current->principals.tokens.end()) return Refused();
  const Token& token = it->second;
  const Micros now = clock_.Now();
  if (!EqualInConstantTime(Sha256(secret), token.secret_sha256) || IsExpired(*token.principal, now))
    return Refused();
  current->uses.find(id)->second->store(now.value, std::memory_order_relaxed);
  successes_.fetch_add(1, std::memory_order_relaxed);
  return token.principal;
}

Result<PrincipalPtr> Access::CheckToken(std::string_view text) const {
  std::string_view id, secret;
  if (!SplitToken(text, id, secret)) return Refused();
  return CheckSecret(id, secret);
}

Result<PrincipalPtr> Access::CheckPassword(std::string_view name, std::string_view password) const {
  const std::shared_ptr<const Current> current = current_.load();
  if (current->principals.tokens.contains(name)) {
    std::string_view id, secret;
    if (!SplitToken(password, id, secret)) return CheckSecret(name, password);
    if (id != name) return Refused();
    return CheckSecret(id, secret);
  }
  // The work is the same whether there is such a user or not.
  const bool fits = IsPasswordOf(VerifierOf(name), password);
  const auto it = current->principals.users.find(name);
  if (!fits || it == current->principals.users.end()) return Refused();
  successes_.fetch_add(1);
  return it->second.principal;
}

ScramVerifier Access::VerifierOf(std::string_view user) const {
  const std::shared_ptr<const Current> current = current_.load();
  const auto it = current->principals.users.find(user);
  if (it != current->principals.users.end()) return it->second.verifier;
  ScramVerifier none;
  none.salt = HmacSha256(unknown_salt_key_, user).substr(0, kSaltBytes);
  none.stored_key = RandomBytes(kSha256Bytes);
  none.server_key = RandomBytes(kSha256Bytes);
  return none;
}

PrincipalPtr Access::FindUser(std::string_view name) const {
  const std::shared_ptr<const Current> current = current_.load();
  const auto it = current->principals.users.find(name);
  return it == current->principals.users.end() ? nullptr : it->second.principal;
}

PrincipalPtr Access::Renew(const PrincipalPtr& principal) const {
  const std::shared_ptr<const Current> current = current_.load();
  PrincipalPtr now;
  if (principal->kind == Principal::Kind::kUser) {
    const auto it = current->principals.users.find(principal->name);
    if (it != current->principals.users.end()) now = it->second.principal;
  } else {
    const auto it = current->principals.tokens.find(principal->name);
    if (it != current->principals.tokens.end()) now = it->second.principal;
  }
  // One that was made later is another, though of the same name.
  if (now == nullptr || now->created != principal->created || IsExpired(*now, clock_.Now()))
    return nullptr;
  return now;
}

std::string Access::Metrics() const {
  const std::shared_ptr<const Current> current = current_.load();
  std::string out;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       uint64_t value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
  };
  add("auth_users", "gauge", "Users.", current->principals.users.size());
  add("auth_tokens", "gauge", "Tokens.", current->principals.tokens.size());
  add("auth_successes_total", "counter", "Tokens and passwords that were right.",
      static_cast<uint64_t>(successes_.load()));
  add("auth_failures_total", "counter", "Tokens and passwords that were wrong.",
      static_cast<uint64_t>(failures_.load()));
  out +=
      "# HELP auth_rate_limited_total Requests beyond the rate of who made them.\n"
      "# TYPE auth_rate_limited_total counter\n";
  for (const auto& [name, user] : current->principals.users) AddLimited(user.principal, out);
  for (const auto& [id, token] : current->principals.tokens) AddLimited(token.principal, out);
  return out;
}

}  // namespace millrace::auth
