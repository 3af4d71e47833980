#include "sql/connection_pool.h"

#include "sql/column_scan.h"
#include "sql/time_zone.h"

namespace millrace::sql {

PooledConnection::PooledConnection(duckdb::DuckDB& database, models::ModelStore& models)
    : connection_(database), context_(duckdb::make_shared_ptr<QueryContext>(models)) {
  connection_.context->registered_state->Insert("millrace", context_);
}

std::shared_ptr<duckdb::PreparedStatement> PooledConnection::FindPrepared(const std::string& key) {
  const auto found = prepared_.find(key);
  if (found == prepared_.end()) return nullptr;
  if (!TakeCopies(found->second)) {
    context_->copies.clear();
    Forget(key);
    return nullptr;
  }
  uses_.splice(uses_.begin(), uses_, found->second.use);
  return found->second.statement;
}

bool PooledConnection::TakeCopies(const Entry& entry) {
  for (const auto& [relation, planned] : entry.copies) {
    const auto copy = context_->CopyOf(relation);
    if ((copy == nullptr) != (planned == nullptr)) return false;
    if (copy != nullptr && !SamePlan(*copy, *planned)) return false;
  }
  return true;
}

void PooledConnection::Forget(const std::string& key) {
  const auto found = prepared_.find(key);
  if (found == prepared_.end()) return;
  uses_.erase(found->second.use);
  prepared_.erase(found);
}

void PooledConnection::KeepPrepared(const std::string& key,
                                    std::shared_ptr<duckdb::PreparedStatement> statement) {
  Forget(key);
  if (prepared_.size() >= kPreparedMax) {
    prepared_.erase(uses_.back());
    uses_.pop_back();
  }
  QueryContext::Copies copies;
  for (const auto& [relation, copy] : context_->copies) {
    auto& planned = copies[relation];
    if (copy == nullptr) continue;
    auto without_pin = std::make_shared<ColumnCopy>(*copy);
    without_pin->pin.reset();
    planned = std::move(without_pin);
  }
  uses_.push_front(key);
  prepared_[key] = Entry{std::move(statement), std::move(copies), uses_.begin()};
}

void PooledConnection::Serve(const Caller& caller) {
  context_->user = caller.user;
  if (caller.time_zone == time_zone_) return;
  SetTimeZone(client(), caller.time_zone);
  time_zone_ = caller.time_zone;
}

ConnectionPool::Lease::~Lease() {
  if (!connection_) return;
  if (connection_->broken() || connection_->context().met_defect) {
    // What is left of the call ends here, while its snapshot still lives.
    connection_.reset();
    return;
  }
  connection_->Serve(Caller());
  connection_->context().Clear();
  const std::lock_guard lock(pool_->mutex_);
  if (pool_->idle_.size() < kIdleMax) pool_->idle_.push_back(std::move(connection_));
}

ConnectionPool::Lease ConnectionPool::Take(const std::string& key) {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      size_t at = idle_.size() - 1;
      for (size_t i = idle_.size(); !key.empty() && i-- > 0;) {
        if (idle_[i]->HasPrepared(key)) {
          at = i;
          break;
        }
      }
      auto connection = std::move(idle_[at]);
      idle_.erase(idle_.begin() + static_cast<long>(at));
      return Lease(*this, std::move(connection));
    }
  }
  return Lease(*this, std::make_unique<PooledConnection>(database_, models_));
}

}  // namespace millrace::sql
