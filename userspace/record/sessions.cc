// SPDX-License-Identifier: Apache-2.0
#include "sallyport/record/sessions.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "sallyport/base/limits.h"

namespace sallyport::record {
namespace {

using namespace sallyport::model;

constexpr size_t kPrefixExamples = 3;

/// Adds entries up to a summary.
class Summariser {
 public:
  /// False: an entry seen before. A failed flush may have left it in a segment given up.
  bool add(const RecordEntry& entry, const Place& place) {
    if (entry.sequence < next_) return false;
    summary_.missing += entry.sequence - next_;
    next_ = entry.sequence + 1;
    summary_.id = entry.session;
    if (summary_.opened_wall_ns == 0) summary_.opened_wall_ns = entry.wall_ns;
    summary_.last_wall_ns = std::max(summary_.last_wall_ns, entry.wall_ns);
    running_ = place.writer == Writer::running;
    std::visit([&](const auto& body) { count(body, entry); }, entry.body);
    return true;
  }

  SessionSummary finish() const {
    SessionSummary summary = summary_;
    bool closed = summary.closed_wall_ns != 0;
    summary.state = closed ? SessionState::closed : running_ ? SessionState::live : SessionState::interrupted;
    return summary;
  }

 private:
  void count(const SessionOpened& body, const RecordEntry&) { summary_.opened = body; }
  void count(const OperationDecided& body, const RecordEntry&) {
    summary_.operations += body.kind != "connect";
    summary_.denied += body.outcome == Outcome::deny;
  }
  void count(const RowsReturned&, const RecordEntry&) {}
  void count(const OperationEnded& body, const RecordEntry&) {
    summary_.rows += body.rows;
    summary_.errors += !body.sqlstate.empty();
    summary_.bytes_to_agent += body.bytes_to_agent;
    summary_.bytes_to_target += body.bytes_to_target;
    summary_.masked_values += body.masked_values;
  }
  void count(const SessionClosed& body, const RecordEntry& entry) {
    summary_.closed_wall_ns = entry.wall_ns;
    summary_.close_reason = body.reason;
    // The flow's own count has what belongs to no operation, too.
    summary_.bytes_to_agent = std::max(summary_.bytes_to_agent, body.bytes_to_agent);
    summary_.bytes_to_target = std::max(summary_.bytes_to_target, body.bytes_to_target);
  }

  SessionSummary summary_;
  uint64_t next_ = 0;
  bool running_ = false;
};

bool wanted(const SessionSummary& session, const SessionFilter& filter) {
  if (!filter.agent.empty() && (!session.opened || session.opened->principal.agent != filter.agent)) return false;
  if (!filter.target.empty() && (!session.opened || session.opened->target != filter.target)) return false;
  if (filter.since_wall_ns != 0 && session.opened_wall_ns < filter.since_wall_ns) return false;
  if (filter.until_wall_ns != 0 && session.opened_wall_ns >= filter.until_wall_ns) return false;
  if (filter.live_only && session.state != SessionState::live) return false;
  return !filter.denied_only || session.denied > 0;
}

/// Puts one session's entries together.
class DetailBuilder {
 public:
  void add(const RecordEntry& entry, const Place& place) {
    if (!summariser_.add(entry, place)) return;
    bytes_ += place.bytes;
    if (bytes_ > limits::kRecordSessionBytesMax) {
      detail_.cut = true;
      return;
    }
    if (const auto* decided = std::get_if<OperationDecided>(&entry.body)) {
      operation(decided->id, entry.wall_ns).decided = completed(*decided);
      detail_.operations[places_[decided->id]].decided_wall_ns = entry.wall_ns;
    } else if (const auto* rows = std::get_if<RowsReturned>(&entry.body)) {
      operation(rows->id, entry.wall_ns).rows.push_back(*rows);
    } else if (const auto* ended = std::get_if<OperationEnded>(&entry.body)) {
      RecordedOperation& one = operation(ended->id, entry.wall_ns);
      one.ended = *ended;
      one.ended_wall_ns = entry.wall_ns;
    }
  }

  SessionDetail finish() {
    detail_.summary = summariser_.finish();
    return std::move(detail_);
  }

 private:
  /// With what the entry says by naming another; what that one said is not known if it was lost.
  OperationDecided completed(OperationDecided decided) const {
    const auto place = decided.same_as == 0 ? places_.end() : places_.find(decided.same_as);
    if (place == places_.end()) return decided;
    complete(decided, detail_.operations[place->second].decided);
    return decided;
  }

  /// The operation, made if its decision was lost. An id that comes again after its end is another
  /// execution judged anew.
  RecordedOperation& operation(OperationId id, int64_t wall_ns) {
    auto [place, added] = places_.try_emplace(id, detail_.operations.size());
    if (added) {
      RecordedOperation& made = detail_.operations.emplace_back();
      made.decided.id = id;
      made.decided_wall_ns = wall_ns;
    }
    return detail_.operations[place->second];
  }

  Summariser summariser_;
  SessionDetail detail_;
  std::map<OperationId, size_t> places_;
  uint64_t bytes_ = 0;
};

}  // namespace

void complete(OperationDecided& decided, const OperationDecided& same) {
  const auto fill = [](auto& field, const auto& from) {
    if (field.empty()) field = from;
  };
  fill(decided.statement, same.statement);
  fill(decided.shape, same.shape);
  fill(decided.effects, same.effects);
  fill(decided.causes, same.causes);
  fill(decided.masks, same.masks);
  fill(decided.agent, same.agent);
  fill(decided.issuer, same.issuer);
  fill(decided.subject, same.subject);
}

std::string_view to_string(SessionState state) {
  static constexpr std::string_view kNames[] = {"live", "closed", "interrupted"};
  return kNames[static_cast<size_t>(state)];
}

Result<std::vector<SessionSummary>> list_sessions(const std::string& directory, const SessionFilter& filter,
                                                  Reporter* reporter) {
  std::map<SessionId, Summariser> sessions;  // by id, hence by time
  size_t most =
      filter.newest != 0 ? std::min(filter.newest, limits::kRecordSessionsListedMax) : limits::kRecordSessionsListedMax;
  Filter entries;
  entries.session_prefix = filter.id_prefix;
  auto done = read_directory(
      directory, entries,
      [&](const RecordEntry& entry, const Place& place) {
        sessions[entry.session].add(entry, place);
        if (sessions.size() > limits::kRecordSessionsListedMax) sessions.erase(sessions.begin());
        return true;
      },
      reporter);
  if (!done) return std::unexpected(done.error());
  std::vector<SessionSummary> list;
  for (const auto& [id, summariser] : sessions) {
    SessionSummary session = summariser.finish();
    if (wanted(session, filter)) list.push_back(std::move(session));
  }
  if (list.size() > most) list.erase(list.begin(), list.end() - static_cast<ptrdiff_t>(most));
  return list;
}

Result<SessionDetail> load_session(const std::string& directory, std::string_view id_or_prefix, Reporter* reporter) {
  if (id_or_prefix.empty()) return fail("no session is named", "`sallyport sessions list` shows their ids");
  std::map<SessionId, DetailBuilder> found;
  Filter filter;
  filter.session_prefix = id_or_prefix;
  auto done = read_directory(
      directory, filter,
      [&](const RecordEntry& entry, const Place& place) {
        found[entry.session].add(entry, place);
        return found.size() <= kPrefixExamples;
      },
      reporter);
  if (!done) return std::unexpected(done.error());
  if (found.empty()) {
    return fail(fmt::format("no session `{}` in `{}`", id_or_prefix, directory),
                "`sallyport sessions list` shows their ids");
  }
  if (found.size() > 1) {
    std::string examples;
    for (const auto& [id, builder] : found) examples.append(examples.empty() ? "" : ", ").append(id);
    return fail(fmt::format("`{}` begins the id of several sessions", id_or_prefix),
                fmt::format("give more of it: {}", examples));
  }
  return found.begin()->second.finish();
}

}  // namespace sallyport::record
