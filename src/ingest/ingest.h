// The one way in: rows of any protocol become records of a stream. Decodes, checks, chooses key and
// partition, remembers idempotency keys, appends. An answer is given when the records are on disk.
//
// Thread-safe. Nothing here blocks but waiting for the disk, which the asynchronous form does not.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "log/types.h"
#include "rows/decode.h"

namespace millrace::ingest {

// The header of a quarantined record that names the source it came from.
inline constexpr std::string_view kSourceHeader = "millrace.source";

struct RejectedRow {
  size_t row;  // index in the request, from 0
  std::string column;
  std::string error;
};

// Where records of one append stand.
struct Placed {
  log::PartitionId partition;
  log::Offset first;
  int64_t records = 0;
};

struct Answer {
  size_t accepted = 0;     // records appended that are good rows (whether they are duplicates is
                           // decided in the step)
  size_t quarantined = 0;  // appended, but no rows of the stream: see "<stream>.quarantine"
  std::vector<RejectedRow> rejected;  // at most 1,000 are listed
  size_t rejected_count = 0;
  bool repeated =
      false;  // the idempotency key was known: nothing was appended, this is the remembered answer
  std::string token;           // read your writes
  std::vector<Placed> placed;  // what was appended; of a repeated request nothing is known
};

struct Request {
  std::string stream;
  // One JSON object per row, as it came. They need to stay valid until `done` is called.
  std::vector<std::string_view> rows;
  std::shared_ptr<const void> owner;  // keeps the bytes of `rows` alive
  std::string idempotency_key;        // empty: none
  // With a key: digest of the whole body, to tell a repeat from another request under the same key.
  uint64_t body_hash = 0;
  // Remembered as long as the stream exists instead of 24 h (millrace load).
  bool remember_long = false;
  // Append nothing when any row is wrong, and answer with an error that names the first one (SQL's
  // INSERT).
  bool all_or_nothing = false;
  std::string source;  // for the ledger and quarantine: "http", "load", "sql", "datagen"
};

// Record batches for one partition of a stream, as a Kafka producer made them.
struct BatchRequest {
  std::string stream;
  int32_t partition = 0;
  std::string batches;  // whole RecordBatches, packed by any codec
  std::string source;   // for the ledger: "kafka"
};

class Ingest {
 public:
  virtual ~Ingest() = default;
  // Errors: kNotFound (stream, with the nearest name), kOverloaded (log or engine behind: try again
  // later), kTooLarge, kConflict (same key, other body), kInvalidArgument. Rows that are wrong are
  // no error: see Answer. `done` is called once, from any thread. Decoding runs on the calling
  // thread (about 1 µs a row): send big bodies in pieces of a few thousand rows.
  virtual void Append(Request request, std::function<void(Result<Answer>)> done) = 0;
  Result<Answer> AppendAndWait(Request request);
  // Whether all its rows would be taken: the error that Append with `all_or_nothing` would give.
  virtual Status Check(const Request& request) = 0;
  // Appends the rows of the requests, and `others`, as one frame, and gives the token. Waits for
  // the disk. REQUIRES: all_or_nothing and no key, in each. Errors as Append's.
  virtual Result<std::string> AppendTogether(const std::vector<Request>& requests,
                                             log::AppendRequest others) = 0;
  // Appends the batches unchanged; which of their records are rows is decided in the step. A stream
  // with on_invalid = 'reject' takes all of them or none. An error returned: nothing was queued,
  // and `done` is not called: as Append's, and kCorruption (malformed, or does not unpack). An
  // error handed to `done`: as Log::Append. Decoding, where the stream rejects, runs on the calling
  // thread.
  virtual Status AppendBatches(BatchRequest request, log::AppendDone done) = 0;
};

// The token of several appends together.
std::string MergeTokens(const std::vector<std::string>& tokens);

}  // namespace millrace::ingest
