// One embedded DuckDB and the connections to it that stand ready. A lease is a connection for one
// caller for the time of one call, with its QueryContext and the statements that were prepared on
// it. Thread-safe; a Lease is used by one thread.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "duckdb.hpp"
#include "sql/query_context.h"

namespace millrace::sql {

// A connection of the pool. Prepared statements are kept by a key that the caller chooses, the
// least used ones dropped.
class PooledConnection {
 public:
  PooledConnection(duckdb::DuckDB& database, models::ModelStore& models);

  duckdb::Connection& connection() { return connection_; }
  duckdb::ClientContext& client() { return *connection_.context; }
  QueryContext& context() { return *context_; }

  // Null where there is none, or where its plan is none for the copies of streams that the
  // context's snapshot has now.
  std::shared_ptr<duckdb::PreparedStatement> FindPrepared(const std::string& key);
  // Its plan is one for the copies that the context has noted.
  void KeepPrepared(const std::string& key, std::shared_ptr<duckdb::PreparedStatement> statement);
  // The types and macros that the connection has: vocabulary.h.
  // For this lease. REQUIRES: DuckDB knows the time zone.
  void Serve(const Caller& caller);
  const catalog::VocabularyPtr& vocabulary() const { return vocabulary_; }
  void SetVocabulary(catalog::VocabularyPtr vocabulary) { vocabulary_ = std::move(vocabulary); }
  // A call on it was broken off: DuckDB ends it only at the connection's next call, so this is its
  // last.
  void MarkBroken() { broken_ = true; }
  void MarkWhole() { broken_ = false; }
  bool broken() const { return broken_; }
  bool HasPrepared(const std::string& key) const { return prepared_.contains(key); }

 private:
  static constexpr size_t kPreparedMax = 64;
  struct Entry {
    std::shared_ptr<duckdb::PreparedStatement> statement;
    QueryContext::Copies copies;  // without their pins
    std::list<std::string>::iterator use;
  };
  // Whether its plan is right now; the context holds its copies then.
  bool TakeCopies(const Entry& entry);
  void Forget(const std::string& key);

  duckdb::Connection connection_;
  duckdb::shared_ptr<QueryContext> context_;
  std::list<std::string> uses_;  // most recent first
  std::unordered_map<std::string, Entry> prepared_;
  catalog::VocabularyPtr vocabulary_ = std::make_shared<const catalog::Vocabulary>();
  bool broken_ = false;
  std::string time_zone_ = "UTC";
};

class ConnectionPool {
 public:
  ConnectionPool(duckdb::DuckDB& database, models::ModelStore& models)
      : database_(database), models_(models) {}

  class Lease {
   public:
    Lease(ConnectionPool& pool, std::unique_ptr<PooledConnection> connection)
        : pool_(&pool), connection_(std::move(connection)) {}
    ~Lease();
    Lease(Lease&&) noexcept = default;
    PooledConnection* operator->() { return connection_.get(); }
    PooledConnection& operator*() { return *connection_; }

   private:
    ConnectionPool* pool_;
    std::unique_ptr<PooledConnection> connection_;
  };

  // A connection on which `key` is prepared, else any. May throw DuckDB's exceptions.
  Lease Take(const std::string& key = {});

 private:
  static constexpr size_t kIdleMax = 16;

  duckdb::DuckDB& database_;
  models::ModelStore& models_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<PooledConnection>> idle_;  // guarded by mutex_
};

}  // namespace millrace::sql
