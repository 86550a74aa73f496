// SPDX-License-Identifier: Apache-2.0
#include "audit/log_writer.h"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "audit/event_names.h"
#include "audit/journal.h"
#include "audit/log_directory.h"
#include "audit/tiles.h"
#include "common/file.h"
#include "common/log.h"

namespace cloister::audit {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto kReserveRetryInterval = std::chrono::seconds(1);

// A durable record that no checkpoint covers yet, with the bytes it was counted with.
struct Pending {
  JournalRecord record;
  size_t cost = 0;
};
using PendingPtr = std::shared_ptr<const Pending>;

// A call of Append() that waits for its record.
struct Waiter {
  PreparedRecord record;
  std::vector<SealedSection> sections;
  bool emergency = false;
  size_t cost = 0;
  std::promise<StatusOr<uint64_t>> result;
};
using Batch = std::vector<std::unique_ptr<Waiter>>;

Status FailedForGood() {
  return Unavailable(
      "the audit log's disk failed, and the service starts anew; check the disk when this goes on");
}
Status DiskFull() {
  return ResourceExhausted(
      "no space for audit records; free space on the data disk, then it goes on by itself");
}

}  // namespace

class LogWriter::Impl {
 public:
  Impl(LogWriterOptions options, const NoteSigner& signer, const NoteVerifier& verifier, const Clock& clock)
      : options_(std::move(options)),
        signer_(signer),
        verifier_(verifier),
        clock_(clock),
        boot_(BootId()),
        directory_(options_.directory) {}
  ~Impl() { Close(); }

  Status Start();
  StatusOr<uint64_t> Append(const Event& event);
  LogState State() const;
  bool failed() const;
  Status WaitForCheckpoint(uint64_t size, std::chrono::milliseconds timeout);
  StatusOr<std::vector<std::string>> Read(uint64_t first, uint32_t count) const;
  Checkpoint LastCheckpoint() const { return published()->checkpoint; }
  Status CheckExtends(uint64_t size, const Hash& root) const;
  HeldCheckpoint Hold() const;
  std::string verifier_key() const { return signer_.verifier_key(); }
  StatusOr<Receipt> Prove(uint64_t index) const;
  Status Export(const FileSink& sink) const;
  void Close();

 private:
  // The committing thread.
  void CommitLoop();
  void Commit(Batch batch);
  Status WriteBatch(const Batch& batch, std::vector<PendingPtr>& written);
  Status WriteFrames(std::string_view frames);
  void RotateJournal();
  void RegainReserve();
  void EnterDiskFull();

  // The checkpoint thread.
  void CheckpointLoop();
  Status MakeCheckpoint(const std::vector<PendingPtr>& records);
  StatusOr<std::shared_ptr<const PublishedLog>> WriteTiles(const std::vector<PendingPtr>& records) const;
  void DropJournals(uint64_t covered);

  void Fail(const Status& status);
  Status Fault(DiskStep step) const;
  std::shared_ptr<const PublishedLog> published() const;

  const LogWriterOptions options_;
  const NoteSigner& signer_;
  const NoteVerifier verifier_;
  const Clock& clock_;
  const std::string boot_;
  const LogDirectory directory_;
  FileDescriptor lock_file_;

  LogDirectory::OpenJournal journal_;  // Of the committing thread.

  mutable std::mutex mutex_;
  std::condition_variable work_, changed_;
  // Everything below is guarded by mutex_.
  std::deque<std::unique_ptr<Waiter>> queue_;
  std::deque<PendingPtr> pending_;  // Durable, from the published size to size_.
  std::shared_ptr<const PublishedLog> published_;
  std::vector<std::pair<std::filesystem::path, uint64_t>>
      retired_;  // Full journals and the index they end at.
  uint64_t size_ = 0;
  size_t pending_bytes_ = 0;  // Queued, being written, or pending.
  size_t torn_bytes_ = 0;
  SteadyClock::time_point reserve_tried_;
  bool disk_full_ = false, failed_ = false, failure_told_ = false, closing_ = false, committer_done_ = false;

  std::thread committer_, checkpointer_;
};

Status LogWriter::Impl::Start() {
  CLOISTER_RETURN_IF_ERROR(CheckKeyName(options_.tenant));
  CLOISTER_ASSIGN_OR_RETURN(lock_file_, LockFile(options_.directory / "lock"));
  if (directory_.IsEmpty()) CLOISTER_RETURN_IF_ERROR(directory_.Create(signer_));
  CLOISTER_ASSIGN_OR_RETURN(Recovered recovered, directory_.Recover(verifier_));
  published_ = std::make_shared<const PublishedLog>(std::move(recovered.published));
  torn_bytes_ = recovered.torn_bytes;
  size_ = published_->checkpoint.size;
  for (JournalRecord& record : recovered.records) {
    size_ += record.entries.size();
    pending_.push_back(std::make_shared<const Pending>(Pending{std::move(record), 0}));
  }
  if (!directory_.MakeReserve(options_.reserve_bytes).ok()) disk_full_ = true;
  // What the journals held is covered by a checkpoint before they go, so that a torn tail goes with them.
  if (!pending_.empty()) CLOISTER_RETURN_IF_ERROR(MakeCheckpoint({pending_.begin(), pending_.end()}));
  directory_.RemoveTemporaries(*published_);
  directory_.RemoveStalePartials(*published_);
  CLOISTER_ASSIGN_OR_RETURN(journal_, directory_.NewJournal(size_));
  for (const auto& old : recovered.journals) {
    std::error_code ignored;
    if (old != journal_.path) std::filesystem::remove(old, ignored);
  }
  committer_ = std::thread([this] { CommitLoop(); });
  checkpointer_ = std::thread([this] { CheckpointLoop(); });
  return absl::OkStatus();
}

StatusOr<uint64_t> LogWriter::Impl::Append(const Event& event) {
  auto waiter = std::make_unique<Waiter>();
  CLOISTER_ASSIGN_OR_RETURN(waiter->record, PreparedRecord::New(event, options_.tenant));
  waiter->sections = event.sections;
  waiter->emergency = IsEmergency(event.name);
  waiter->cost = waiter->record.bytes_max();
  for (const SealedSection& section : event.sections) {
    waiter->cost += section.sealed.size() + section.key_record.size();
  }
  if (waiter->cost > options_.pending_bytes_max) {
    return InvalidArgument("an audit record with its sections has at most " +
                           std::to_string(options_.pending_bytes_max) + " bytes");
  }
  auto result = waiter->result.get_future();
  {
    std::lock_guard lock(mutex_);
    if (failed_) return FailedForGood();
    if (closing_) return Unavailable("the audit log is closing");
    if (queue_.size() >= options_.queue_records_max ||
        pending_bytes_ + waiter->cost > options_.pending_bytes_max) {
      return ResourceExhausted("too many audit records are waiting for the disk; try again");
    }
    pending_bytes_ += waiter->cost;
    queue_.push_back(std::move(waiter));
  }
  work_.notify_one();
  return result.get();
}

void LogWriter::Impl::CommitLoop() {
  for (;;) {
    Batch batch;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return !queue_.empty() || closing_ || failed_; });
      if (failed_ || queue_.empty()) {
        committer_done_ = true;
        break;
      }
      std::move(queue_.begin(), queue_.end(), std::back_inserter(batch));
      queue_.clear();
    }
    Commit(std::move(batch));
  }
  changed_.notify_all();
}

// Writes a batch and answers its callers. On a full disk the emergency records get a second try in the
// reserve.
void LogWriter::Impl::Commit(Batch batch) {
  RegainReserve();
  if (journal_.bytes > options_.journal_rotate_bytes) RotateJournal();
  Batch refused;
  std::vector<PendingPtr> written;
  Status status = absl::OkStatus();
  const auto refuse_others = [&] {
    const auto split =
        std::stable_partition(batch.begin(), batch.end(), [](const auto& w) { return w->emergency; });
    std::move(split, batch.end(), std::back_inserter(refused));
    batch.erase(split, batch.end());
  };
  if (State().disk_full) refuse_others();
  if (!batch.empty()) status = WriteBatch(batch, written);
  if (status.code() == StatusCode::kResourceExhausted && !State().disk_full) {
    EnterDiskFull();
    refuse_others();
    written.clear();
    status = batch.empty() ? absl::OkStatus() : WriteBatch(batch, written);
  }
  const bool fatal = !status.ok() && status.code() != StatusCode::kResourceExhausted;
  {
    std::lock_guard lock(mutex_);
    if (status.ok()) {
      for (const PendingPtr& pending : written) size_ += pending->record.entries.size();
      pending_.insert(pending_.end(), written.begin(), written.end());
    } else {
      for (const auto& waiter : batch) pending_bytes_ -= waiter->cost;
      if (fatal)
        failed_ = true;  // Before anybody is answered: an answer must not be followed by an acceptance.
    }
    for (const auto& waiter : refused) pending_bytes_ -= waiter->cost;
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    if (status.ok()) {
      batch[i]->result.set_value(written[i]->record.first_index);
    } else {
      batch[i]->result.set_value(fatal ? FailedForGood() : DiskFull());
    }
  }
  for (auto& waiter : refused) waiter->result.set_value(DiskFull());
  if (fatal) Fail(status);
  changed_.notify_all();
}

Status LogWriter::Impl::WriteBatch(const Batch& batch, std::vector<PendingPtr>& written) {
  written.clear();
  uint64_t next;
  {
    std::lock_guard lock(mutex_);
    next = size_;
  }
  for (const auto& waiter : batch) {
    Pending pending{
        JournalRecord{next, waiter->record.Entries(next, Stamp{clock_.Now(), clock_.Monotonic(), boot_}),
                      waiter->sections},
        waiter->cost};
    next += pending.record.entries.size();
    written.push_back(std::make_shared<const Pending>(std::move(pending)));
  }
  std::string frames;
  const uint64_t last = written.back()->record.first_index;
  for (const PendingPtr& pending : written) {
    frames += EncodeFrame(pending->record, journal_.batch + 1, last, journal_.nonce);
  }
  CLOISTER_RETURN_IF_ERROR(WriteFrames(frames));
  ++journal_.batch;
  return absl::OkStatus();
}

// One write, one sync. A write that found no space is taken back; any other failure is for good.
Status LogWriter::Impl::WriteFrames(std::string_view frames) {
  Status status = Fault(DiskStep::kJournalWrite);
  if (status.ok()) status = WriteAll(journal_.file.get(), frames);
  if (!status.ok()) {
    if (status.code() != StatusCode::kResourceExhausted) return Unavailable(MessageOf(status));
    if (::ftruncate(journal_.file.get(), static_cast<off_t>(journal_.bytes)) != 0)
      return ErrnoStatus(EIO, "truncate");
    return status;
  }
  CLOISTER_RETURN_IF_ERROR([this] {
    const Status fault = Fault(DiskStep::kJournalSync);
    // Whatever the errno, pages may have been lost and a second fsync would not say so.
    if (!fault.ok()) return Unavailable(MessageOf(fault));
    return ::fdatasync(journal_.file.get()) == 0 ? absl::OkStatus()
                                                 : Unavailable("fdatasync of the journal failed");
  }());
  journal_.bytes += frames.size();
  return absl::OkStatus();
}

// Keeps the old journal when a new one cannot be made: a long journal is no harm.
void LogWriter::Impl::RotateJournal() {
  const uint64_t size = State().size;  // Only this thread changes it.
  auto fresh = directory_.NewJournal(size);
  if (!fresh.ok()) return LogStatus(LogLevel::kWarning, "audit.rotate_failed", fresh.status());
  {
    std::lock_guard lock(mutex_);
    retired_.emplace_back(journal_.path, size);
  }
  journal_ = *std::move(fresh);
}

void LogWriter::Impl::EnterDiskFull() {
  directory_.ReleaseReserve();
  std::lock_guard lock(mutex_);
  reserve_tried_ = SteadyClock::now();
  disk_full_ = true;
}

void LogWriter::Impl::RegainReserve() {
  {
    std::lock_guard lock(mutex_);
    if (!disk_full_ || SteadyClock::now() - reserve_tried_ < kReserveRetryInterval) return;
    reserve_tried_ = SteadyClock::now();
  }
  if (!directory_.MakeReserve(options_.reserve_bytes).ok()) return;
  std::lock_guard lock(mutex_);
  disk_full_ = false;
}

void LogWriter::Impl::CheckpointLoop() {
  auto not_before = SteadyClock::now();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !pending_.empty() || committer_done_ || failed_; });
    changed_.wait_until(lock, not_before, [this] { return committer_done_ || failed_; });
    if (failed_ || pending_.empty()) return;
    const std::vector<PendingPtr> records(pending_.begin(), pending_.end());
    lock.unlock();
    not_before = SteadyClock::now() + options_.checkpoint_interval;
    const Status status = MakeCheckpoint(records);
    if (!status.ok()) LogStatus(LogLevel::kError, "audit.checkpoint_failed", status);
    // Without space the journal goes on holding the records, up to pending_bytes_max.
    const bool full = status.code() == StatusCode::kResourceExhausted;
    const bool fatal = !status.ok() && !full;
    if (full) EnterDiskFull();
    if (fatal) Fail(status);
    lock.lock();
    if (fatal || (!status.ok() && committer_done_)) return;
  }
}

// `records` are all that are durable now and not yet covered.
Status LogWriter::Impl::MakeCheckpoint(const std::vector<PendingPtr>& records) {
  std::vector<const SealedSection*> sections;
  for (const PendingPtr& pending : records) {
    for (const SealedSection& section : pending->record.sections) sections.push_back(&section);
  }
  if (!sections.empty() && options_.section_sink) CLOISTER_RETURN_IF_ERROR(options_.section_sink(sections));
  CLOISTER_ASSIGN_OR_RETURN(auto next, WriteTiles(records));
  CLOISTER_RETURN_IF_ERROR(directory_.WriteCheckpoint(next->note));
  {
    std::lock_guard lock(mutex_);
    published_ = next;
    for (size_t i = 0; i < records.size(); ++i) {
      pending_bytes_ -= pending_.front()->cost;
      pending_.pop_front();
    }
  }
  changed_.notify_all();
  directory_.RemoveStalePartials(*next);
  DropJournals(next->checkpoint.size);
  return absl::OkStatus();
}

StatusOr<std::shared_ptr<const PublishedLog>> LogWriter::Impl::WriteTiles(
    const std::vector<PendingPtr>& records) const {
  auto next = std::make_shared<PublishedLog>(*published());
  const TileSink write_tile = [this](const TileId& tile, std::string_view hashes) {
    CLOISTER_RETURN_IF_ERROR(Fault(DiskStep::kTileWrite));
    return directory_.WriteTile(tile, hashes);
  };
  for (const PendingPtr& pending : records) {
    for (const std::string& entry : pending->record.entries) {
      AppendToBundle(entry, next->tail_bundle);
      const uint64_t count = next->tiles.size() + 1;
      if (count % kTileWidth == 0) {
        CLOISTER_RETURN_IF_ERROR(
            directory_.WriteBundle(count / kTileWidth - 1, kTileWidth, next->tail_bundle));
        next->tail_bundle.clear();
      }
      CLOISTER_RETURN_IF_ERROR(next->tiles.Append(LeafHash(entry), write_tile));
    }
  }
  const uint64_t size = next->tiles.size();
  if (!next->tail_bundle.empty()) {
    const auto width = static_cast<uint32_t>(size % kTileWidth);
    CLOISTER_RETURN_IF_ERROR(directory_.WriteBundle(size / kTileWidth, width, next->tail_bundle));
  }
  for (const TileId& tile : next->tiles.PartialTiles()) {
    CLOISTER_RETURN_IF_ERROR(write_tile(tile, next->tiles.Partial(tile.level)));
  }
  next->checkpoint = Checkpoint{signer_.name(), size, next->tiles.Root()};
  next->note = signer_.Sign(CheckpointText(next->checkpoint));
  return next;
}

void LogWriter::Impl::DropJournals(uint64_t covered) {
  std::lock_guard lock(mutex_);
  std::erase_if(retired_, [&](const auto& journal) {
    std::error_code ignored;
    return journal.second <= covered && (std::filesystem::remove(journal.first, ignored), true);
  });
}

// Answers whoever waits and tells the owner, once.
void LogWriter::Impl::Fail(const Status& status) {
  std::deque<std::unique_ptr<Waiter>> waiting;
  bool told;
  {
    std::lock_guard lock(mutex_);
    failed_ = true;
    told = std::exchange(failure_told_, true);
    waiting.swap(queue_);
  }
  LogStatus(LogLevel::kError, "audit.failed", status);
  for (auto& waiter : waiting) waiter->result.set_value(FailedForGood());
  work_.notify_all();
  changed_.notify_all();
  if (!told && options_.on_failure) options_.on_failure();
}

Status LogWriter::Impl::Fault(DiskStep step) const {
  const int error = options_.fault ? options_.fault(step) : 0;
  return error == 0 ? absl::OkStatus() : ErrnoStatus(error, "audit log");
}

std::shared_ptr<const PublishedLog> LogWriter::Impl::published() const {
  std::lock_guard lock(mutex_);
  return published_;
}

LogState LogWriter::Impl::State() const {
  std::lock_guard lock(mutex_);
  return LogState{size_, published_->checkpoint.size, published_->note, disk_full_, torn_bytes_};
}

bool LogWriter::Impl::failed() const {
  std::lock_guard lock(mutex_);
  return failed_;
}

Status LogWriter::Impl::WaitForCheckpoint(uint64_t size, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (size > size_) return InvalidArgument("the log does not have that many entries");
  const bool done = changed_.wait_for(
      lock, timeout, [&] { return published_->checkpoint.size >= size || failed_ || committer_done_; });
  if (published_->checkpoint.size >= size) return absl::OkStatus();
  if (failed_) return FailedForGood();
  if (done) return Unavailable("the audit log is closing");
  return Error(StatusCode::kDeadlineExceeded, "the next checkpoint is late");
}

StatusOr<std::vector<std::string>> LogWriter::Impl::Read(uint64_t first, uint32_t count) const {
  std::shared_ptr<const PublishedLog> log;
  std::vector<PendingPtr> records;
  {
    std::lock_guard lock(mutex_);
    log = published_;
    records.assign(pending_.begin(), pending_.end());
  }
  std::vector<std::string> out;
  size_t bytes = 0;
  const auto take = [&](std::string_view entry) {
    if (out.size() == count || (!out.empty() && bytes + entry.size() > kReadBytesMax)) return false;
    bytes += entry.size();
    out.emplace_back(entry);
    return true;
  };
  uint64_t at = first;
  while (at < log->checkpoint.size) {
    const uint64_t index = at / kTileWidth;
    CLOISTER_ASSIGN_OR_RETURN(const std::string bundle, directory_.ReadBundle(*log, index));
    const TileId leaves{0, index, TileWidthAt(log->checkpoint.size, 0, index)};
    CLOISTER_ASSIGN_OR_RETURN(const auto entries, SplitBundle(bundle, leaves.width));
    CLOISTER_ASSIGN_OR_RETURN(const std::string hashes, directory_.ReadTile(*log, leaves));
    if (hashes.size() != leaves.width * kHashBytes) return DataLoss("a tile of the audit log is cut short");
    for (size_t i = at % kTileWidth; i < entries.size(); ++i, ++at) {
      // A bundle is read from a disk that may have changed it, and what is shown here is taken for the log's word.
      if (LeafHash(entries[i]).bytes() != std::string_view(hashes).substr(i * kHashBytes, kHashBytes)) {
        return DataLoss("entry " + std::to_string(at) +
                        " of the audit log is damaged or was altered: it is not what was recorded; export the log and "
                        "check the export with cloister-verify, and restore the log from a backup");
      }
      if (!take(entries[i])) return out;
    }
  }
  for (const PendingPtr& pending : records) {
    for (size_t i = 0; i < pending->record.entries.size(); ++i) {
      if (pending->record.first_index + i >= first && !take(pending->record.entries[i])) return out;
    }
  }
  return out;
}

Status LogWriter::Impl::CheckExtends(uint64_t size, const Hash& root) const {
  return directory_.CheckExtends(*published(), size, root);
}

HeldCheckpoint LogWriter::Impl::Hold() const {
  const auto log = published();
  return {log->checkpoint, log->note, [this, log](uint64_t size) -> StatusOr<std::vector<Hash>> {
            if (size > log->checkpoint.size) return FailedPrecondition("the log is shorter than that");
            if (size == 0 || size == log->checkpoint.size) return std::vector<Hash>();
            ProofBuilder builder(log->checkpoint.size,
                                 [&](const TileId& tile) { return directory_.ReadTile(*log, tile); });
            return builder.Consistency(size);
          }};
}

StatusOr<Receipt> LogWriter::Impl::Prove(uint64_t index) const {
  const LogState state = State();
  if (index >= state.size) return NotFound("the log has no entry of that index yet");
  const auto log = published();
  if (index >= log->checkpoint.size)
    return Unavailable("the next checkpoint will cover this entry; try again");
  ProofBuilder builder(log->checkpoint.size,
                       [&](const TileId& tile) { return directory_.ReadTile(*log, tile); });
  Receipt receipt;
  receipt.index = index;
  receipt.checkpoint = log->note;
  CLOISTER_ASSIGN_OR_RETURN(receipt.proof, builder.Inclusion(index));
  CLOISTER_ASSIGN_OR_RETURN(auto entries, Read(index, 1));
  if (entries.empty()) return DataLoss("an entry bundle is shorter than the log");
  receipt.extra = std::move(entries.front());
  // A receipt that does not verify would discredit the log: better to say here that a tile is damaged.
  CLOISTER_RETURN_IF_ERROR(VerifyReceipt(receipt, std::nullopt, verifier_).status());
  return receipt;
}

Status LogWriter::Impl::Export(const FileSink& sink) const {
  const auto log = published();
  const auto give = [&](const std::string& path, std::string_view bytes) -> Status {
    for (size_t at = 0; at == 0 || at < bytes.size(); at += kExportPieceBytes) {
      CLOISTER_RETURN_IF_ERROR(sink(path, at, bytes.substr(at, kExportPieceBytes)));
    }
    return absl::OkStatus();
  };
  const uint64_t size = log->checkpoint.size;
  for (uint64_t index = 0; TileWidthAt(size, 0, index) > 0; ++index) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string bundle, directory_.ReadBundle(*log, index));
    CLOISTER_RETURN_IF_ERROR(give(BundlePath(index, TileWidthAt(size, 0, index)), bundle));
  }
  for (uint32_t level = 0; TileWidthAt(size, level, 0) > 0; ++level) {
    for (uint64_t index = 0;; ++index) {
      const TileId tile{level, index, TileWidthAt(size, level, index)};
      if (tile.width == 0) break;
      CLOISTER_ASSIGN_OR_RETURN(const std::string hashes, directory_.ReadTile(*log, tile));
      CLOISTER_RETURN_IF_ERROR(give(TilePath(tile), hashes));
    }
  }
  CLOISTER_RETURN_IF_ERROR(give(std::string(kVerifierKeyFile), signer_.verifier_key() + "\n"));
  return give(std::string(kCheckpointFile), log->note);
}

void LogWriter::Impl::Close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_all();
  if (committer_.joinable()) committer_.join();
  changed_.notify_all();
  if (checkpointer_.joinable()) checkpointer_.join();
}

StatusOr<std::unique_ptr<LogWriter>> LogWriter::Open(LogWriterOptions options, const NoteSigner& signer,
                                                     const Clock& clock) {
  CLOISTER_ASSIGN_OR_RETURN(const NoteVerifier verifier, NoteVerifier::Parse(signer.verifier_key()));
  auto impl = std::make_unique<Impl>(std::move(options), signer, verifier, clock);
  CLOISTER_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<LogWriter>(new LogWriter(std::move(impl)));
}

LogWriter::LogWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogWriter::~LogWriter() = default;
StatusOr<uint64_t> LogWriter::Append(const Event& event) { return impl_->Append(event); }
LogState LogWriter::State() const { return impl_->State(); }
bool LogWriter::failed() const { return impl_->failed(); }
Status LogWriter::WaitForCheckpoint(uint64_t size, std::chrono::milliseconds timeout) {
  return impl_->WaitForCheckpoint(size, timeout);
}
StatusOr<std::vector<std::string>> LogWriter::Read(uint64_t first, uint32_t count) const {
  return impl_->Read(first, count);
}
Checkpoint LogWriter::LastCheckpoint() const { return impl_->LastCheckpoint(); }
Status LogWriter::CheckExtends(uint64_t size, const Hash& root) const { return impl_->CheckExtends(size, root); }
HeldCheckpoint LogWriter::Hold() const { return impl_->Hold(); }
std::string LogWriter::verifier_key() const { return impl_->verifier_key(); }
StatusOr<Receipt> LogWriter::Prove(uint64_t index) const { return impl_->Prove(index); }
Status LogWriter::Export(const FileSink& sink) const { return impl_->Export(sink); }
void LogWriter::Close() { impl_->Close(); }

}  // namespace cloister::audit
