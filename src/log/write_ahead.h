// WriteAhead is the one file into which every append of every partition goes first: a ring of
// recycled blocks. Overwriting blocks that were written before makes fdatasync cheaper than growing
// a file does, so the background thread writes zeros ahead of the frames: while more than a quarter
// of the file is in use it grows by steps, up to its limit. Frames are written past the page cache.
//
// Where a frame stands: directly behind the one before, or at 0 when it did not fit there. So
// recovery looks at both places, and no frame needs to say where the next one is.
//
// Thread rule: Append and Sync by the leader; Grow and Release by the background thread; Replay
// before any of them; the rest is safe anywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/files.h"
#include "log/frame.h"

namespace millrace::log {

class WriteAhead {
 public:
  // Opens or creates `path`, empty as far as Append is concerned: call Replay first.
  static Result<std::unique_ptr<WriteAhead>> Open(Files& files, const std::string& path,
                                                  uint64_t bytes_max);

  struct ReplayFrom {
    uint64_t generation = 0;
    FrameSequence next;     // the first frame wanted
    uint64_t position = 0;  // where it stands, if not at 0
  };
  // What Replay hands over: a frame, and whether its batches are as written. Where they are not,
  // each batch is to be judged by its own CRC, and lost ones are named by the frame's entries.
  using OnFrame = std::function<Status(std::shared_ptr<Frame> frame, bool intact)>;
  struct Replayed {
    FrameSequence last;  // newest frame there is
    bool torn = false;   // an unfinished frame was cut
    uint64_t lost = 0;   // damaged frames of which not even the entries are known
  };
  // Hands over every frame from `from` on, in order. A bad frame is rot when a later frame says
  // that it was durable; otherwise it is the torn tail, where the walk ends.
  Result<Replayed> Replay(const ReplayFrom& from, const OnFrame& on_frame);

  // Whether a frame of this size finds room now, in blocks that were written before, without
  // touching one that Release has not freed.
  bool HasRoom(uint64_t frame_bytes) const;
  // Writes the frame and notes its position in it. REQUIRES: HasRoom. When it fails nothing counts
  // as written, and the next Append writes to the same place.
  Status Append(Frame& frame);
  Status Sync() { return direct_->Sync(); }
  // Frames before `next` are no longer needed; the last of them ends at `position`.
  void Release(uint64_t position, FrameSequence next);

  // Whether more of the file is in use than a quarter, and it may grow.
  bool WantsToGrow() const;
  // Grows the file by one step, and so far that a frame of this size fits, up to its limit; Append
  // may use each piece as soon as it is written. kOverloaded: the disk is full; what was grown
  // stays.
  Status Grow(uint64_t frame_bytes);

  uint64_t live_bytes() const;
  uint64_t file_bytes() const;

 private:
  WriteAhead(std::unique_ptr<File> file, std::unique_ptr<File> direct, uint64_t size,
             uint64_t bytes_max)
      : file_(std::move(file)), direct_(std::move(direct)), bytes_max_(bytes_max), size_(size) {}

  struct Found {
    uint64_t position = 0;
    FrameMeta meta;
  };
  std::optional<uint64_t> Place(uint64_t frame_bytes) const;
  Result<std::optional<FrameMeta>> ReadMeta(uint64_t position) const;
  Result<std::optional<Found>> Find(const ReplayFrom& from) const;
  Result<std::optional<Found>> FindLater(const ReplayFrom& from) const;
  Result<std::optional<Found>> FindByFooter(const ReplayFrom& from) const;
  Result<std::shared_ptr<Frame>> ReadFrame(Found found) const;

  const std::unique_ptr<File> file_;    // for Replay
  const std::unique_ptr<File> direct_;  // for frames and zeros
  const uint64_t bytes_max_;

  mutable std::mutex mutex_;
  uint64_t size_;            // blocks that were written at least once
  uint64_t head_ = 0;        // where the next frame goes, if it fits
  uint64_t tail_ = 0;        // start of the oldest frame still needed
  uint64_t live_bytes_ = 0;  // 0: nothing is needed
  FrameSequence last_;       // newest frame that was appended
};

}  // namespace millrace::log
