#include "http/live_queries.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "rows/schema.h"

namespace millrace::http {
namespace {

// Changes are kept up to this size also where the content is smaller.
constexpr size_t kHistoryBytesMin = 64 * 1024;
// What a query takes beside its rows, and a change beside its text, about.
constexpr size_t kQueryOverhead = 2 * 1024;
constexpr size_t kChangeOverhead = 128;
constexpr size_t kLooksMax = 2;
constexpr std::chrono::seconds kDropEvery{1};

std::string KeyOf(const LiveRequest& request) {
  std::string key = request.match.endpoint->name();
  const auto add = [&](std::string_view part) {
    key += '\0';
    key += part;
  };
  add(request.numbers_as_strings ? "strings" : "numbers");
  for (const auto& [name, value] : request.parameters) {
    add(rows::LowerName(name));
    add(std::to_string(value.size()));
    add(value);
  }
  return key;
}

size_t BytesOf(const LiveChange& change) { return change.data.size() + kChangeOverhead; }

}  // namespace

struct LiveQuery {
  const std::string key;
  const std::string path;
  const std::map<std::string, std::string> parameters;
  const bool numbers_as_strings;
  const std::shared_ptr<std::atomic<bool>> cancel = std::make_shared<std::atomic<bool>>(false);

  // Guarded by LiveQueries::mutex_.
  size_t readers = 0;
  std::chrono::steady_clock::time_point unused_since;

  mutable std::mutex mutex;  // of all below
  runtime::EndpointMatch match;
  enum class Job {
    kIdle,     // the content is what was visible when it was looked at last
    kQueued,   // a thread will take it up
    kRunning,  // a thread evaluates it
    kAgain,    // the same, and looks once more when it has
  };
  Job job = Job::kIdle;
  uint64_t started = 0, finished = 0;          // evaluations
  uint64_t wanted = 0;                         // one has to start that is at least the wanted-th
  int64_t step = -1;                           // of what was read by the last one
  std::shared_ptr<const LiveContent> content;  // null: not evaluated yet
  uint64_t version = 0;                        // of the content: one more with each change
  // That led to it, the last one to `version`.
  std::deque<std::shared_ptr<const LiveChange>> changes;
  size_t change_bytes = 0;
  uint64_t shape_since = 0;      // version of the first content of this shape
  std::optional<Error> failure;  // the end
  std::unordered_map<LiveReader*, std::function<void()>> waiting;

  LiveQuery(std::string query_key, LiveRequest request)
      : key(std::move(query_key)),
        path(std::move(request.path)),
        parameters(std::move(request.parameters)),
        numbers_as_strings(request.numbers_as_strings),
        match(std::move(request.match)) {}
};

// Whether something has been shown that the last evaluation that ended has not read. REQUIRES:
// query.mutex is held.
static bool IsBehind(const LiveQuery& query, const Backend& backend) {
  return query.finished == 0 || backend.EndpointStep(query.match) > query.step;
}

// Whether another evaluation has to start. The same.
static bool IsNeeded(const LiveQuery& query, const Backend& backend) {
  return query.wanted > query.started || IsBehind(query, backend);
}

LiveQueries::LiveQueries(const LiveOptions& options)
    : options_(options),
      memory_(std::make_shared<MemoryBudget>(options.memory_bytes_max)),
      looking_(1, kLooksMax),
      evaluating_(options.threads, options.memory_bytes_max / kQueryOverhead + 1) {}

LiveQueries::~LiveQueries() { Stop(); }

void LiveQueries::ListenTo(Backend& backend) {
  {
    const std::lock_guard lock(mutex_);
    if (backend_ != nullptr || stopped_) return;
    backend_ = &backend;
  }
  backend.OnStep([this](bool catalog_changed) { OnStep(catalog_changed); });
  OnStep(/*catalog_changed=*/false);  // there may have been one meanwhile
}

void LiveQueries::Stop() {
  Backend* backend = nullptr;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    backend = std::exchange(backend_, nullptr);
    for (const auto& [key, query] : queries_) query->cancel->store(true);
  }
  if (backend != nullptr) backend->OnStep(nullptr);
  looking_.Stop();
  evaluating_.Stop();
}

Result<std::unique_ptr<LiveReader>> LiveQueries::Join(Backend& backend, LiveRequest request,
                                                      std::optional<EventId> last) {
  ListenTo(backend);
  DropUnused(/*all=*/false);
  const std::string key = KeyOf(request);
  const std::shared_ptr<const runtime::Endpoint> compiled = request.match.compiled;
  QueryPtr query;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return Error(Code::kUnavailable, "the server is stopping");
    if (readers_ >= options_.readers_max) {
      return Error(Code::kOverloaded, "{} live readers are connected, which is the limit",
                   options_.readers_max)
          .Hint("try again later, or ask without text/event-stream");
    }
    QueryPtr& found = queries_[key];
    if (found == nullptr) {
      if (!memory_->TryTake(kQueryOverhead)) {
        queries_.erase(key);
        return Error(Code::kOverloaded, "live answers hold {} bytes, of {} that they may",
                     memory_->used(), memory_->bytes_max())
            .Hint("try again later");
      }
      found = QueryPtr(new LiveQuery(key, std::move(request)), [memory = memory_](LiveQuery* gone) {
        memory->Give(kQueryOverhead + gone->change_bytes);
        delete gone;
      });
    }
    query = found;
    ++query->readers;
    ++readers_;
  }
  bool behind = false;
  uint64_t round = 0;
  {
    const std::lock_guard lock(query->mutex);
    // Another definition of the endpoint or of what it reads, where nobody followed it meanwhile.
    behind = query->match.compiled != compiled || IsBehind(*query, backend);
    if (behind) query->wanted = query->started + 1;
    round = query->started + (behind ? 1 : 0);
  }
  auto reader = std::make_unique<LiveReader>(*this, query, last, round);
  if (behind) Schedule(query);
  return reader;
}

void LiveQueries::OnStep(bool catalog_changed) {
  if (catalog_changed) catalog_changed_ = true;
  if (look_queued_.exchange(true)) return;
  // Refused only where the pool has stopped: there is nobody to tell then.
  if (!looking_.TrySubmit([this] { LookAtAll(); })) look_queued_ = false;
}

// After a step: which queries read what it has changed.
void LiveQueries::LookAtAll() {
  look_queued_ = false;
  const bool catalog_changed = catalog_changed_.exchange(false);
  std::vector<QueryPtr> followed;
  Backend* backend = nullptr;
  {
    const std::lock_guard lock(mutex_);
    backend = backend_;
    for (const auto& [key, query] : queries_) {
      if (query->readers > 0) followed.push_back(query);
    }
  }
  if (backend == nullptr) return;
  // Queries of one endpoint read the same.
  std::map<const void*, int64_t> steps;
  for (const QueryPtr& query : followed) {
    bool behind = false;
    {
      const std::lock_guard lock(query->mutex);
      if (catalog_changed) query->wanted = query->started + 1;
      const auto [step, is_new] = steps.try_emplace(query->match.compiled.get(), 0);
      if (is_new || query->match.compiled == nullptr)
        step->second = backend->EndpointStep(query->match);
      behind = catalog_changed || query->finished == 0 || step->second > query->step;
    }
    if (behind) Schedule(query);
  }
  DropUnused(/*all=*/false);
}

void LiveQueries::Schedule(const QueryPtr& query) {
  Backend* backend = nullptr;
  {
    const std::lock_guard lock(mutex_);
    backend = backend_;
  }
  if (backend == nullptr) return;
  bool fast = false;
  {
    const std::lock_guard lock(query->mutex);
    if (query->job != LiveQuery::Job::kIdle) {
      if (query->job == LiveQuery::Job::kRunning) query->job = LiveQuery::Job::kAgain;
      return;
    }
    if (!IsNeeded(*query, *backend)) return;
    query->job = LiveQuery::Job::kQueued;
    fast = backend->EndpointIsFast(query->match);
  }
  if (fast) {
    Evaluate(query);
    return;
  }
  // The queue has room for as many queries as there can be, so only a stopped pool refuses.
  if (evaluating_.TrySubmit([this, query] { Evaluate(query); })) return;
  const std::lock_guard lock(query->mutex);
  query->job = LiveQuery::Job::kIdle;
}

void LiveQueries::Evaluate(const QueryPtr& query) {
  {
    const std::lock_guard lock(query->mutex);
    query->job = LiveQuery::Job::kRunning;
    ++query->started;
  }
  evaluations_.fetch_add(1);
  auto outcome = Answer(*query);
  std::vector<std::function<void()>> tell;
  bool again = false;
  bool over = false;
  {
    const std::lock_guard lock(query->mutex);
    Take(*query, std::move(outcome));
    ++query->finished;
    over = query->failure.has_value();
    again = query->job == LiveQuery::Job::kAgain && !over;  // Schedule looks whether it is needed
    query->job = LiveQuery::Job::kIdle;
    for (auto it = query->waiting.begin(); it != query->waiting.end();) {
      if (!it->first->HasNews()) {
        ++it;
        continue;
      }
      tell.push_back(std::move(it->second));
      it = query->waiting.erase(it);
    }
  }
  // The next reader begins anew.
  if (over) Forget(query);
  for (const auto& done : tell) done();
  if (again) Schedule(query);
}

Result<std::shared_ptr<const LiveContent>> LiveQueries::Answer(LiveQuery& query) {
  Backend* backend = nullptr;
  {
    const std::lock_guard lock(mutex_);
    backend = backend_;
  }
  if (backend == nullptr) return Error(Code::kUnavailable, "the server is stopping");
  // Each time: the endpoint may have been replaced, and with it what it knows of its views.
  auto match = backend->MatchEndpoint("GET", query.path);
  if (!match) return Error(Code::kNotFound, "there is nothing at {} any more", Quoted(query.path));
  runtime::StatementOptions options;
  options.timeout = options_.evaluation_max;
  options.cancel = query.cancel;
  auto answer = backend->AnswerEndpoint(*match, query.parameters, options);
  if (!answer.ok()) return std::move(answer).error();
  if (answer->failed) return *answer->failed;
  {
    const std::lock_guard lock(query.mutex);
    query.match = std::move(*match);
    query.step = answer->step;
  }
  return MakeContent(query, *answer);
}

Result<std::shared_ptr<const LiveContent>> LiveQueries::MakeContent(
    const LiveQuery& query, const runtime::EndpointAnswer& answer) {
  const auto make = [&] {
    return LiveContent::Make(answer, query.numbers_as_strings, options_.answer_bytes_max, memory_);
  };
  auto content = make();
  if (content.ok() || content.error().code() != Code::kOverloaded) return content;
  DropUnused(/*all=*/true);
  return make();
}

// REQUIRES: query.mutex is held.
void LiveQueries::Take(LiveQuery& query, Result<std::shared_ptr<const LiveContent>> outcome) {
  if (!outcome.ok()) {
    query.failure = std::move(outcome).error();
    return;
  }
  const std::shared_ptr<const LiveContent> before = std::move(query.content);
  query.content = std::move(*outcome);
  if (before == nullptr) {
    ++query.version;
    return;
  }
  const LiveContent& after = *query.content;
  if (before->shape() != after.shape()) {
    query.shape_since = ++query.version;
    memory_->Give(std::exchange(query.change_bytes, 0));
    query.changes.clear();
    return;
  }
  const LiveDifference difference = Difference(before->rows(), after.rows(), after.ordered());
  if (difference.empty()) {
    query.content = before;  // and its id: clients have been told that one
    return;
  }
  ++query.version;
  query.changes.push_back(std::make_shared<const LiveChange>(
      LiveChange{before->id(), after.id(), ChangeJson(*before, after, difference)}));
  size_t held = BytesOf(*query.changes.back());
  const bool has_room = memory_->TryTake(held);
  if (!has_room) held = 0;
  query.change_bytes += held;
  const size_t limit = has_room ? std::max(kHistoryBytesMin, after.bytes()) : 0;
  const auto drop_first = [&] {
    const size_t bytes = std::min(BytesOf(*query.changes.front()), query.change_bytes);
    query.change_bytes -= bytes;
    memory_->Give(bytes);
    query.changes.pop_front();
  };
  while (!query.changes.empty() && (!has_room || query.change_bytes > limit)) drop_first();
}

void LiveQueries::Forget(const QueryPtr& query) {
  const std::lock_guard lock(mutex_);
  const auto found = queries_.find(query->key);
  if (found != queries_.end() && found->second == query) queries_.erase(found);
}

void LiveQueries::Leave(const QueryPtr& query) {
  const std::lock_guard lock(mutex_);
  --readers_;
  if (--query->readers == 0) query->unused_since = Tick();
}

void LiveQueries::DropUnused(bool all) {
  std::vector<QueryPtr> dropped;  // let go of outside the lock
  const std::lock_guard lock(mutex_);
  const auto now = Tick();
  if (!all && now < next_drop_) return;
  next_drop_ = now + kDropEvery;
  for (auto it = queries_.begin(); it != queries_.end();) {
    const LiveQuery& query = *it->second;
    if (query.readers > 0 || (!all && now - query.unused_since < options_.kept)) {
      ++it;
      continue;
    }
    dropped.push_back(std::move(it->second));
    it = queries_.erase(it);
  }
}

std::string LiveQueries::Metrics() const {
  size_t queries = 0, readers = 0;
  {
    const std::lock_guard lock(mutex_);
    queries = queries_.size();
    readers = readers_;
  }
  std::string out;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       size_t value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
  };
  add("http_live_readers", "gauge", "Clients that follow an endpoint.", readers);
  add("http_live_readers_max", "gauge", "Limit of http_live_readers.", options_.readers_max);
  add("http_live_queries", "gauge", "Endpoints with parameters that are followed, or were lately.",
      queries);
  add("http_live_memory_bytes", "gauge", "Memory that live answers hold.", memory_->used());
  add("http_live_memory_bytes_max", "gauge", "Limit of http_live_memory_bytes.",
      memory_->bytes_max());
  add("http_live_evaluations_total", "counter", "Answers worked out for those who follow.",
      static_cast<size_t>(evaluations_.load()));
  add("http_live_events_total", "counter", "Events sent.", static_cast<size_t>(events_.load()));
  add("http_live_coalesced_total", "counter",
      "Slow readers that were given the newest content in the place of changes.",
      static_cast<size_t>(coalesced_.load()));
  return out;
}

LiveReader::LiveReader(LiveQueries& queries, std::shared_ptr<LiveQuery> query,
                       std::optional<EventId> last, uint64_t round)
    : queries_(queries), query_(std::move(query)), last_(last), round_(round) {}

LiveReader::~LiveReader() {
  {
    const std::lock_guard lock(query_->mutex);
    query_->waiting.erase(this);
  }
  queries_.Leave(query_);
}

bool LiveReader::HasNews() const {
  if (query_->failure) return true;
  return began_ ? query_->version > version_ : query_->finished >= round_;
}

void LiveReader::WhenNews(std::function<void()> done) {
  {
    const std::lock_guard lock(query_->mutex);
    if (!HasNews()) {
      query_->waiting[this] = std::move(done);
      return;
    }
    query_->waiting.erase(this);
  }
  done();
}

std::optional<Error> LiveReader::failure() const {
  const std::lock_guard lock(query_->mutex);
  return query_->failure;
}

LiveNews LiveReader::Next() {
  const std::lock_guard lock(query_->mutex);
  if (!HasNews()) return std::monostate();
  if (query_->failure) return *query_->failure;
  if (began_ && version_ < query_->shape_since) {
    return Error(Code::kConflict, "the endpoint was replaced: its rows have other columns now")
        .Hint("ask again");
  }
  return began_ ? NextChange() : BeginAt();
}

LiveNews LiveReader::BeginAt() {
  began_ = true;
  version_ = query_->version;
  if (!last_) return query_->content;
  if (last_->digest == query_->content->id().digest) return std::monostate();
  for (size_t i = query_->changes.size(); i-- > 0;) {
    if (query_->changes[i]->before != *last_) continue;
    version_ = query_->version - (query_->changes.size() - i);
    return NextChange();
  }
  return query_->content;
}

LiveNews LiveReader::NextChange() {
  const uint64_t behind = query_->version - version_;
  if (behind > query_->changes.size()) {
    version_ = query_->version;
    if (behind > 1) queries_.coalesced_.fetch_add(1);
    return query_->content;
  }
  ++version_;
  return query_->changes[query_->changes.size() - behind];
}

}  // namespace millrace::http
