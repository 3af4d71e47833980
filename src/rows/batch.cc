#include "rows/batch.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/coding.h"
#include "rows/row_codec.h"

namespace millrace::rows {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// The distinct rows of a batch with the sums of their weights, in the order of first appearance. An
// open-addressing table of indexes into `entries`; the encodings lie in blocks that never move.
class Distinct {
 public:
  struct Entry {
    std::string_view bytes;
    uint64_t hash;
    uint32_t part;
    uint32_t row;
    Weight weight;
  };

  explicit Distinct(size_t rows) : slots_(std::bit_ceil(std::max<size_t>(rows * 2, 16)), kNone) {
    entries_.reserve(rows);
  }

  // True when the row is new.
  bool Add(std::string_view bytes, uint32_t part, uint32_t row, Weight weight) {
    const uint64_t hash = StableHash(bytes);
    const size_t mask = slots_.size() - 1;
    size_t slot = hash & mask;
    for (; slots_[slot] != kNone; slot = (slot + 1) & mask) {
      Entry& entry = entries_[slots_[slot]];
      if (entry.hash == hash && entry.bytes == bytes) {
        CHECK(!__builtin_add_overflow(entry.weight, weight, &entry.weight)) << "weight overflow";
        return false;
      }
    }
    slots_[slot] = static_cast<uint32_t>(entries_.size());
    entries_.push_back({Keep(bytes), hash, part, row, weight});
    return true;
  }

  std::vector<Entry>& entries() { return entries_; }

 private:
  std::string_view Keep(std::string_view bytes) {
    if (blocks_.empty() || bytes.size() > left_) {
      left_ = std::max<size_t>(bytes.size(), 64 << 10);
      blocks_.emplace_back(new char[left_]);
      at_ = blocks_.back().get();
    }
    std::memcpy(at_, bytes.data(), bytes.size());
    const std::string_view kept(at_, bytes.size());
    at_ += bytes.size();
    left_ -= bytes.size();
    return kept;
  }

  std::vector<uint32_t> slots_;
  std::vector<Entry> entries_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  size_t left_ = 0;
};

// Copies the entries' rows, keeping their order, in runs of one source part.
Batch Collect(const Batch& batch, const std::vector<Distinct::Entry>& entries, const Types& types) {
  BatchBuilder builder(types);
  std::vector<duckdb::sel_t> selection;
  std::vector<Weight> weights;
  for (size_t i = 0; i < entries.size();) {
    const uint32_t part = entries[i].part;
    selection.clear();
    weights.clear();
    for (; i < entries.size() && entries[i].part == part && selection.size() < STANDARD_VECTOR_SIZE;
         ++i) {
      selection.push_back(entries[i].row);
      weights.push_back(entries[i].weight);
    }
    builder.Append(*batch.parts[part].rows, selection.data(), selection.size(), weights.data());
  }
  return builder.Finish();
}

Batch Merge(const Batch& batch, const Types& types, bool sorted) {
  Distinct distinct(batch.row_count());
  RowEncoder encoder(types);
  bool merged = false;
  for (uint32_t p = 0; p < batch.parts.size(); ++p) {
    const Batch::Part& part = batch.parts[p];
    const auto& encodings = encoder.Encode(*part.rows);
    for (uint32_t r = 0; r < encodings.size(); ++r) {
      merged |= !distinct.Add(encodings[r], p, r, part.weight(r));
    }
  }
  auto& entries = distinct.entries();
  const size_t dropped =
      std::erase_if(entries, [](const auto& entry) { return entry.weight == 0; });
  if (sorted) {
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  } else if (!merged && dropped == 0) {
    return batch;
  }
  return Collect(batch, entries, types);
}

}  // namespace

size_t Batch::row_count() const {
  size_t count = 0;
  for (const Part& part : parts) count += part.rows->size();
  return count;
}

bool Batch::insert_only() const {
  for (const Part& part : parts) {
    for (const Weight weight : part.weights) {
      if (weight != 1) return false;
    }
  }
  return true;
}

void Batch::Append(Batch other) {
  if (parts.empty()) {
    parts = std::move(other.parts);
    return;
  }
  for (Part& part : other.parts) parts.push_back(std::move(part));
}

Batch Consolidate(const Batch& batch, const Types& types) {
  return Merge(batch, types, /*sorted=*/false);
}
Batch ConsolidateSorted(const Batch& batch, const Types& types) {
  return Merge(batch, types, /*sorted=*/true);
}

Batch Negate(const Batch& batch) {
  Batch negated = batch;
  for (Batch::Part& part : negated.parts) {
    if (part.weights.empty()) part.weights.assign(part.rows->size(), 1);
    for (Weight& weight : part.weights) weight = -weight;
  }
  return negated;
}

void MakeRoom(duckdb::DataChunk& chunk, const Types& types, size_t capacity) {
  chunk.InitializeEmpty(types);
  for (duckdb::Vector& vector : chunk.data) vector.Initialize(false, capacity);
}

BatchBuilder::BatchBuilder(Types types) : types_(std::move(types)) {}

void BatchBuilder::Close() {
  if (open_ == nullptr) return;
  if (open_->rows->size() > 0) batch_.parts.push_back(std::move(*open_));
  open_.reset();
}

duckdb::DataChunk& BatchBuilder::Room(size_t count) {
  CHECK(count <= STANDARD_VECTOR_SIZE) << "more rows than a chunk holds: " << count;
  if (open_ != nullptr && open_->rows->size() + count > STANDARD_VECTOR_SIZE) Close();
  if (open_ == nullptr) {
    open_ = std::make_unique<Batch::Part>();
    open_->rows = std::make_shared<duckdb::DataChunk>();
    // A vector of no columns still counts rows (SELECT without columns), and Initialize refuses it.
    if (!types_.empty()) {
      open_->rows->Initialize(duckdb::Allocator::DefaultAllocator(), types_);
    }
  }
  return *open_->rows;
}

void BatchBuilder::Commit(size_t count, const Weight* weights) {
  Batch::Part& part = *open_;
  const size_t before = part.rows->size();
  part.rows->SetCardinality(before + count);
  if (weights == nullptr ||
      std::all_of(weights, weights + count, [](Weight w) { return w == 1; })) {
    if (!part.weights.empty()) part.weights.resize(before + count, 1);
    return;
  }
  if (part.weights.empty()) part.weights.assign(before, 1);
  part.weights.insert(part.weights.end(), weights, weights + count);
}

void BatchBuilder::Append(duckdb::DataChunk& rows, const duckdb::sel_t* selection, size_t count,
                          const Weight* weights) {
  // Vectors are told how far they reach by the greatest selected row, not by `count`.
  for (size_t done = 0; done < count;) {
    const size_t full = open_ == nullptr ? 0 : open_->rows->size() % STANDARD_VECTOR_SIZE;
    const size_t take = std::min<size_t>(count - done, STANDARD_VECTOR_SIZE - full);
    duckdb::DataChunk& out = Room(take);
    const duckdb::SelectionVector picked(
        selection == nullptr ? nullptr : const_cast<duckdb::sel_t*>(selection + done));
    for (size_t c = 0; c < types_.size(); ++c) {
      if (selection == nullptr) {
        duckdb::VectorOperations::Copy(rows.data[c], out.data[c], done + take, done, out.size());
      } else {
        duckdb::VectorOperations::Copy(rows.data[c], out.data[c], picked, take, 0, out.size());
      }
    }
    Commit(take, weights == nullptr ? nullptr : weights + done);
    done += take;
  }
}

void BatchBuilder::AppendRow(duckdb::DataChunk& rows, size_t row, Weight weight) {
  const auto selection = static_cast<duckdb::sel_t>(row);
  Append(rows, &selection, 1, &weight);
}

void BatchBuilder::Take(duckdb::DataChunk& rows, std::vector<Weight> weights) {
  CHECK(weights.size() == rows.size()) << "another number of weights";
  if (weights.empty()) return;
  Close();
  if (std::all_of(weights.begin(), weights.end(), [](Weight w) { return w == 1; })) weights.clear();
  Batch::Part& part = batch_.parts.emplace_back();
  part.rows = std::make_shared<duckdb::DataChunk>();
  part.rows->Move(rows);
  part.weights = std::move(weights);
}

Batch BatchBuilder::Finish() {
  Close();
  return std::exchange(batch_, {});
}

}  // namespace millrace::rows
