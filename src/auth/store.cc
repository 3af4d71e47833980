#include "auth/store.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <thread>

#include "auth/crypto.h"
#include "auth/scram.h"

namespace millrace::auth {

namespace {

constexpr std::string_view kTokenPrefix = "mr_";
constexpr size_t kIdBytes = 6;
constexpr size_t kSecretBytes = 32;
constexpr size_t kNoteBytesMax = 200;
// Another process that changes them is done in milliseconds.
constexpr int kLockTries = 500;
constexpr std::chrono::milliseconds kLockPause{10};

Result<std::unique_ptr<FileLock>> LockFile(Files& files, const std::string& path) {
  for (int i = 0; i < kLockTries; ++i) {
    auto lock = files.Lock(path);
    if (lock.ok() || lock.error().code() != Code::kConflict) return lock;
    std::this_thread::sleep_for(kLockPause);
  }
  return Error(Code::kConflict, "users and tokens are being changed by another process")
      .Hint(fmt::format("it holds {}: end it, or wait for it", path));
}

Status CheckScopes(const Scopes& scopes) {
  if (!scopes.list().empty()) return Ok();
  return Error(Code::kInvalidArgument, "without a scope it would be good for nothing")
      .Hint("give --scope, as --scope ingest:clicks or --scope admin");
}

std::string NotThere(std::string_view name, const auto& all) {
  std::vector<std::string> names;
  for (const auto& [each, value] : all) names.push_back(each);
  return DidYouMean(name, names);
}

}  // namespace

bool SplitToken(std::string_view text, std::string_view& id, std::string_view& secret) {
  if (!text.starts_with(kTokenPrefix)) return false;
  text.remove_prefix(kTokenPrefix.size());
  const size_t middle = text.find('_');
  if (middle == std::string_view::npos) return false;
  id = text.substr(0, middle);
  secret = text.substr(middle + 1);
  return id.size() == 2 * kIdBytes && secret.size() == 2 * kSecretBytes;
}

Status CheckPassword(std::string_view password) {
  const bool printable =
      std::all_of(password.begin(), password.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax || !printable) {
    return Error(Code::kInvalidArgument, "the password must be {} to {} printable ASCII characters",
                 kPasswordBytesMin, kPasswordBytesMax);
  }
  return Ok();
}

Result<std::string> Store::ReadText() const {
  auto text = files_.ReadAll(folder_ + "/principals");
  if (!text.ok() && text.error().code() == Code::kNotFound) return std::string();
  return text;
}

Result<Principals> Store::Read() const {
  TRY(const std::string text, ReadText());
  if (text.empty()) return Principals();
  auto principals = DecodePrincipals(text);
  if (!principals.ok()) {
    return std::move(principals)
        .error()
        .With("users and tokens in " + folder_ + "/principals")
        .Hint("put a copy of the file back, or remove the folder and create them anew");
  }
  return principals;
}

template <typename F>
Status Store::Change(const F& change) {
  TRY(files_.CreateDirectories(folder_));
  std::error_code failed;
  std::filesystem::permissions(folder_, std::filesystem::perms::owner_all, failed);
  if (failed) return Error(Code::kIo, "close {} to other users: {}", folder_, failed.message());
  TRY(const auto lock, LockFile(files_, folder_ + "/lock"));
  TRY(Principals principals, Read());
  TRY(change(principals));
  if (principals.users.size() + principals.tokens.size() > kPrincipalsMax) {
    return Error(Code::kTooLarge, "more than {} users and tokens", kPrincipalsMax)
        .Hint("revoke those that nobody uses: millrace token list");
  }
  return files_.Replace(folder_ + "/principals", EncodePrincipals(principals));
}

Result<NewToken> Store::CreateToken(const Scopes& scopes, std::chrono::seconds lifetime,
                                    const std::string& note, const Rate& rate) {
  TRY(CheckScopes(scopes));
  if (note.size() > kNoteBytesMax)
    return Error(Code::kTooLarge, "a note is at most {} bytes", kNoteBytesMax);
  NewToken made;
  made.id = Hex(RandomBytes(kIdBytes));
  const std::string secret = Hex(RandomBytes(kSecretBytes));
  made.text = fmt::format("{}{}_{}", kTokenPrefix, made.id, secret);
  const Micros now = clock_.Now();
  const Micros expires{
      lifetime.count() == 0
          ? 0
          : now.value + std::chrono::duration_cast<std::chrono::microseconds>(lifetime).count()};
  TRY(Change([&](Principals& principals) -> Status {
    principals.tokens[made.id] =
        Token{std::make_shared<const Principal>(
                  Principal{Principal::Kind::kToken, made.id, scopes, now, expires, rate}),
              Sha256(secret), note};
    return Ok();
  }));
  return made;
}

Status Store::RevokeToken(std::string_view id) {
  return Change([&](Principals& principals) -> Status {
    const auto it = principals.tokens.find(id);
    if (it == principals.tokens.end()) {
      // A whole token may have been given: it is not to be repeated.
      const std::string shown = id.size() > 2 * kIdBytes ? "of this id" : Quoted(id);
      return Error(Code::kNotFound, "there is no token {}", shown)
          .Hint(NotThere(id, principals.tokens));
    }
    principals.tokens.erase(it);
    return Ok();
  });
}

Status Store::CreateUser(const std::string& name, std::string_view password, const Scopes& scopes,
                         bool replace, const Rate& rate) {
  TRY(CheckUserName(name));
  TRY(CheckPassword(password));
  TRY(CheckScopes(scopes));
  const ScramVerifier verifier = MakeVerifier(password, RandomBytes(kSaltBytes), kScramIterations);
  return Change([&](Principals& principals) -> Status {
    if (principals.users.contains(name) && !replace) {
      return Error(Code::kAlreadyExists, "user {} exists", Quoted(name))
          .Hint("--replace gives it this password, these scopes and this rate");
    }
    principals.users[name] =
        User{std::make_shared<const Principal>(
                 Principal{Principal::Kind::kUser, name, scopes, clock_.Now(), {}, rate}),
             verifier};
    return Ok();
  });
}

Status Store::DropUser(std::string_view name) {
  return Change([&](Principals& principals) -> Status {
    const auto it = principals.users.find(name);
    if (it == principals.users.end()) {
      return Error(Code::kNotFound, "there is no user {}", Quoted(name))
          .Hint(NotThere(name, principals.users));
    }
    principals.users.erase(it);
    return Ok();
  });
}

Result<std::map<std::string, Micros>> Store::ReadUses() const {
  std::map<std::string, Micros> uses;
  const auto text = files_.ReadAll(folder_ + "/uses");
  if (!text.ok() && text.error().code() == Code::kNotFound) return uses;
  if (!text.ok()) return text.error();
  std::istringstream in(*text);
  std::string id;
  for (Micros at; in >> id >> at.value;) uses[id] = at;
  return uses;
}

Status Store::WriteUses(const std::map<std::string, Micros>& uses) {
  std::string out;
  for (const auto& [id, at] : uses) out += fmt::format("{} {}\n", id, at.value);
  return files_.Replace(folder_ + "/uses", out);
}

}  // namespace millrace::auth
