// SPDX-License-Identifier: Apache-2.0
#include "record/payload.h"

#include <fmt/core.h>

#include <algorithm>

#include "record/cbor.h"
#include "sallyport/base/limits.h"

namespace sallyport::record {
namespace {

using namespace sallyport::model;

// --- Writing. A map is written with room for a count of up to 23 pairs, filled in at the end. ---

class MapWriter {
 public:
  explicit MapWriter(std::string& out) : out_(out), cbor_(out), at_(out.size()) { cbor_.map(0); }
  ~MapWriter() { out_[at_] = static_cast<char>(0xa0 | pairs_); }
  MapWriter(const MapWriter&) = delete;
  MapWriter& operator=(const MapWriter&) = delete;

  CborWriter& key(uint64_t key) {
    ++pairs_;
    cbor_.unsigned_integer(key);
    return cbor_;
  }
  void number(uint64_t key, uint64_t value) {
    if (value != 0) this->key(key).unsigned_integer(value);
  }
  void string(uint64_t key, std::string_view value) {
    if (!value.empty()) this->key(key).string(value);
  }
  void strings(uint64_t key, const std::vector<std::string>& values) {
    if (values.empty()) return;
    this->key(key).array(values.size());
    for (const std::string& value : values) cbor_.string(value);
  }
  std::string& out() { return out_; }

 private:
  std::string& out_;
  CborWriter cbor_;
  size_t at_;
  int pairs_ = 0;
};

void write_endpoint(CborWriter& cbor, const Endpoint& endpoint) {
  std::string bytes(reinterpret_cast<const char*>(endpoint.address.bytes.data()), endpoint.address.bytes.size());
  bytes.push_back(static_cast<char>(endpoint.port >> 8));
  bytes.push_back(static_cast<char>(endpoint.port & 0xff));
  cbor.bytes(bytes);
}

void write_process(MapWriter& outer, uint64_t key, const Process& process) {
  outer.key(key);
  MapWriter map(outer.out());
  map.number(1, process.pid);
  map.number(2, process.uid);
  map.number(3, process.gid);
  map.number(4, process.start_ticks);
  map.string(5, process.command);
  map.string(6, process.executable);
  map.number(7, process.executable_device);
  map.number(8, process.executable_inode);
  map.string(9, process.sha256);
  map.strings(10, process.arguments);
  map.string(11, process.directory);
  if (!process.parents.empty()) {
    map.key(12).array(process.parents.size());
    for (const Ancestor& parent : process.parents) {
      MapWriter inner(outer.out());
      inner.number(1, parent.pid);
      inner.string(2, parent.command);
    }
  }
  map.string(13, process.unknown);
  map.string(14, process.executable_doubt);
  map.string(15, process.sha256_missing);
}

void write(const SessionOpened& body, std::string& out) {
  MapWriter map(out);
  map.number(1, body.flow);
  map.string(2, body.principal.agent);
  map.string(3, body.principal.workload);
  map.number(4, body.principal.cgroup_id);
  map.string(5, body.principal.cgroup_path);
  write_process(map, 6, body.principal.process);
  write_endpoint(map.key(7), body.source);
  write_endpoint(map.key(8), body.destination);
  map.string(9, body.target);
  map.string(10, body.protocol);
  map.string(11, body.node);
  map.string(12, body.principal.token.issuer);
  map.string(13, body.principal.token.subject);
}

void write_effect(const Effect& effect, std::string& out) {
  MapWriter map(out);
  map.string(1, effect.statement_class);
  map.string(2, to_string(effect.kind));
  map.string(3, effect.object);
  map.string(4, to_string(effect.access));
  map.strings(5, effect.columns);
  if (effect.all_columns) map.key(6).boolean(true);
  map.string(7, effect.because);
}

void write(const OperationDecided& body, std::string& out) {
  MapWriter map(out);
  map.number(1, body.id);
  map.number(2, body.parent);
  map.string(3, body.kind);
  map.string(4, body.statement);
  map.string(5, body.shape);
  map.strings(6, body.parameters);
  if (!body.effects.empty()) {
    map.key(7).array(body.effects.size());
    for (const Effect& effect : body.effects) write_effect(effect, out);
  }
  map.string(8, to_string(body.outcome));
  if (!body.causes.empty()) {
    map.key(9).array(body.causes.size());
    for (const Cause& cause : body.causes) {
      MapWriter inner(out);
      inner.string(1, cause.rule);
      inner.string(2, cause.text);
      inner.string(3, cause.where);
    }
  }
  map.strings(10, body.masks);
  map.number(11, body.same_as);
  map.string(12, body.agent);
  map.string(13, body.issuer);
  map.string(14, body.subject);
}

void write(const RowsReturned& body, std::string& out) {
  MapWriter map(out);
  map.number(1, body.id);
  map.strings(2, body.columns);
  CborWriter& cbor = map.key(3);
  cbor.array(body.rows.size());
  for (const auto& row : body.rows) {
    cbor.array(row.size());
    for (const auto& value : row) {
      if (value) {
        cbor.string(*value);
      } else {
        cbor.null();
      }
    }
  }
}

void write(const OperationEnded& body, std::string& out) {
  MapWriter map(out);
  map.number(1, body.id);
  map.key(2).integer(body.duration_ns);
  map.number(3, body.rows);
  map.number(4, body.bytes_to_agent);
  map.number(5, body.bytes_to_target);
  map.number(6, body.masked_values);
  map.string(7, body.tag);
  map.string(8, body.sqlstate);
  map.string(9, body.error);
}

void write(const SessionClosed& body, std::string& out) {
  MapWriter map(out);
  map.string(1, body.reason);
  map.number(2, body.bytes_to_agent);
  map.number(3, body.bytes_to_target);
}

// --- Reading ---

/// Calls `field(key)` for each pair; it reads the value and returns true, or returns false to skip.
template <class Field>
void read_map(CborReader& cbor, Field field) {
  for (size_t pairs = cbor.map(); pairs > 0 && cbor.ok(); --pairs) {
    uint64_t key = cbor.unsigned_integer();
    if (!field(key)) cbor.skip();
  }
}

template <class Item>
void read_array(CborReader& cbor, Item item) {
  for (size_t count = cbor.array(); count > 0 && cbor.ok(); --count) item();
}

void read(CborReader& cbor, std::string& value) { value = cbor.string(); }
void read(CborReader& cbor, bool& value) { value = cbor.boolean(); }
void read(CborReader& cbor, int64_t& value) { value = cbor.integer(); }
void read(CborReader& cbor, uint64_t& value) { value = cbor.unsigned_integer(); }
void read(CborReader& cbor, uint32_t& value) { value = static_cast<uint32_t>(cbor.unsigned_integer()); }
void read(CborReader& cbor, std::vector<std::string>& values) {
  read_array(cbor, [&] { values.emplace_back(cbor.string()); });
}

/// The word of a closed list; one that is not known gives `otherwise`.
template <class Word>
void read_word(CborReader& cbor, Word last, Word otherwise, Word& value) {
  std::string_view word = cbor.string();
  value = otherwise;
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (to_string(static_cast<Word>(i)) == word) value = static_cast<Word>(i);
  }
}

void read(CborReader& cbor, Endpoint& endpoint) {
  std::string_view bytes = cbor.string();
  if (bytes.size() != endpoint.address.bytes.size() + 2) return cbor.fail();
  std::copy_n(bytes.begin(), endpoint.address.bytes.size(), endpoint.address.bytes.begin());
  endpoint.port = static_cast<uint16_t>(static_cast<uint8_t>(bytes[16]) << 8 | static_cast<uint8_t>(bytes[17]));
}

// Declared before the template that calls them.
void read(CborReader& cbor, Process& process);
void read(CborReader& cbor, std::vector<Ancestor>& parents);
void read(CborReader& cbor, ObjectKind& kind);
void read(CborReader& cbor, Access& access);
void read(CborReader& cbor, Outcome& outcome);
void read(CborReader& cbor, std::vector<Effect>& effects);
void read(CborReader& cbor, std::vector<Cause>& causes);
void read(CborReader& cbor, std::vector<std::vector<std::optional<std::string>>>& rows);

/// Reads into the field that stands at `key` (from 1) of the list; false when there is none.
template <class... Fields>
bool read_field(CborReader& cbor, uint64_t key, Fields&... fields) {
  uint64_t place = 0;
  return ((++place == key && (read(cbor, fields), true)) || ...);
}

void read(CborReader& cbor, Process& process) {
  read_map(cbor, [&](uint64_t key) {
    return read_field(cbor, key, process.pid, process.uid, process.gid, process.start_ticks, process.command,
                      process.executable, process.executable_device, process.executable_inode, process.sha256,
                      process.arguments, process.directory, process.parents, process.unknown, process.executable_doubt,
                      process.sha256_missing);
  });
}

void read(CborReader& cbor, std::vector<Ancestor>& parents) {
  read_array(cbor, [&] {
    Ancestor& parent = parents.emplace_back();
    read_map(cbor, [&](uint64_t key) { return read_field(cbor, key, parent.pid, parent.command); });
  });
}

void read(CborReader& cbor, ObjectKind& kind) { read_word(cbor, ObjectKind::unknown, ObjectKind::unknown, kind); }
void read(CborReader& cbor, Access& access) { read_word(cbor, Access::execute, Access::execute, access); }
void read(CborReader& cbor, Outcome& outcome) { read_word(cbor, Outcome::deny, Outcome::deny, outcome); }

void read(CborReader& cbor, std::vector<Effect>& effects) {
  read_array(cbor, [&] {
    Effect& effect = effects.emplace_back();
    read_map(cbor, [&](uint64_t key) {
      return read_field(cbor, key, effect.statement_class, effect.kind, effect.object, effect.access, effect.columns,
                        effect.all_columns, effect.because);
    });
  });
}

void read(CborReader& cbor, std::vector<Cause>& causes) {
  read_array(cbor, [&] {
    Cause& cause = causes.emplace_back();
    read_map(cbor, [&](uint64_t key) { return read_field(cbor, key, cause.rule, cause.text, cause.where); });
  });
}

void read(CborReader& cbor, std::vector<std::vector<std::optional<std::string>>>& rows) {
  read_array(cbor, [&] {
    auto& row = rows.emplace_back();
    read_array(cbor, [&] {
      auto value = cbor.string_or_null();
      row.push_back(value ? std::optional<std::string>(*value) : std::nullopt);
    });
  });
}

void read(CborReader& cbor, SessionOpened& body) {
  Principal& who = body.principal;
  read_map(cbor, [&](uint64_t key) {
    return read_field(cbor, key, body.flow, who.agent, who.workload, who.cgroup_id, who.cgroup_path, who.process,
                      body.source, body.destination, body.target, body.protocol, body.node, who.token.issuer,
                      who.token.subject);
  });
}

void read(CborReader& cbor, OperationDecided& body) {
  read_map(cbor, [&](uint64_t key) {
    return read_field(cbor, key, body.id, body.parent, body.kind, body.statement, body.shape, body.parameters,
                      body.effects, body.outcome, body.causes, body.masks, body.same_as, body.agent, body.issuer,
                      body.subject);
  });
}

void read(CborReader& cbor, RowsReturned& body) {
  read_map(cbor, [&](uint64_t key) { return read_field(cbor, key, body.id, body.columns, body.rows); });
}

void read(CborReader& cbor, OperationEnded& body) {
  read_map(cbor, [&](uint64_t key) {
    return read_field(cbor, key, body.id, body.duration_ns, body.rows, body.bytes_to_agent, body.bytes_to_target,
                      body.masked_values, body.tag, body.sqlstate, body.error);
  });
}

void read(CborReader& cbor, SessionClosed& body) {
  read_map(cbor,
           [&](uint64_t key) { return read_field(cbor, key, body.reason, body.bytes_to_agent, body.bytes_to_target); });
}

template <class Body>
Result<RecordBody> read_whole(std::string_view bytes) {
  CborReader cbor(bytes);
  Body body;
  read(cbor, body);
  if (!cbor.ok() || !cbor.at_end()) return fail("the payload is malformed");
  return RecordBody(std::move(body));
}

// --- Shortening ---

void cut(std::string& text, size_t bytes_max) {
  if (text.size() <= bytes_max) return;
  size_t whole = text.size();
  size_t end = bytes_max;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  text += fmt::format("… [cut from {} bytes]", whole);
}

/// Keeps elements from the front while `budget` lasts. Each costs its bytes and some more.
template <class Element, class Size>
void keep_within(std::vector<Element>& list, size_t& budget, Size size) {
  size_t kept = 0;
  for (; kept < list.size(); ++kept) {
    size_t cost = size(list[kept]) + 16;
    if (cost > budget) break;
    budget -= cost;
  }
  list.resize(kept);
}

size_t bytes_of(const Effect& effect) {
  size_t sum = effect.object.size() + effect.statement_class.size() + effect.because.size() + 32;
  for (const std::string& column : effect.columns) sum += column.size() + 4;
  return sum;
}

void shorten(SessionOpened& body) {
  for (std::string* text :
       {&body.principal.agent, &body.principal.workload, &body.principal.cgroup_path, &body.principal.process.command,
        &body.principal.process.executable, &body.principal.process.directory, &body.principal.token.subject,
        &body.target, &body.protocol, &body.node}) {
    cut(*text, limits::kRecordStringBytesMax / 8);
  }
  for (std::string& argument : body.principal.process.arguments) cut(argument, limits::kProcessArgumentsBytesMax);
  size_t budget = limits::kRecordPayloadBytesMax / 8;
  keep_within(body.principal.process.arguments, budget, [](const std::string& text) { return text.size(); });
  for (Ancestor& parent : body.principal.process.parents) cut(parent.command, 256);
  if (body.principal.process.parents.size() > limits::kProcessParentsMax)
    body.principal.process.parents.resize(limits::kProcessParentsMax);
}

void shorten(OperationDecided& body) {
  for (std::string* text : {&body.kind, &body.agent, &body.issuer}) cut(*text, 256);
  cut(body.subject, limits::kRecordStringBytesMax / 8);
  cut(body.statement, limits::kRecordStringBytesMax);
  cut(body.shape, limits::kRecordStringBytesMax / 2);
  for (std::string& parameter : body.parameters) cut(parameter, limits::kRecordStringBytesMax / 16);
  size_t budget = limits::kRecordPayloadBytesMax / 8;
  auto length = [](const std::string& text) { return text.size(); };
  keep_within(body.parameters, budget, length);
  budget = limits::kRecordPayloadBytesMax / 8;
  keep_within(body.causes, budget,
              [](const Cause& cause) { return cause.rule.size() + cause.text.size() + cause.where.size(); });
  budget = limits::kRecordPayloadBytesMax / 8;
  keep_within(body.masks, budget, length);
  budget = limits::kRecordPayloadBytesMax / 8;
  keep_within(body.effects, budget, [](const Effect& effect) { return bytes_of(effect); });
}

void shorten(RowsReturned& body) {
  size_t budget = limits::kRecordPayloadBytesMax / 4;
  keep_within(body.columns, budget, [](const std::string& text) { return text.size(); });
  budget = limits::kRecordPayloadBytesMax / 2;
  for (auto& row : body.rows) {
    for (auto& value : row) {
      if (value) cut(*value, limits::kRecordStringBytesMax / 16);
    }
  }
  keep_within(body.rows, budget, [](const auto& row) {
    size_t sum = 8;
    for (const auto& value : row) sum += 8 + (value ? value->size() : 0);
    return sum;
  });
}

void shorten(OperationEnded& body) {
  for (std::string* text : {&body.tag, &body.sqlstate, &body.error}) cut(*text, limits::kRecordStringBytesMax / 4);
}

void shorten(SessionClosed& body) { cut(body.reason, limits::kRecordStringBytesMax / 4); }

}  // namespace

static_assert(std::is_same_v<std::variant_alternative_t<0, RecordBody>, SessionOpened> &&
              std::is_same_v<std::variant_alternative_t<1, RecordBody>, OperationDecided> &&
              std::is_same_v<std::variant_alternative_t<2, RecordBody>, RowsReturned> &&
              std::is_same_v<std::variant_alternative_t<3, RecordBody>, OperationEnded> &&
              std::is_same_v<std::variant_alternative_t<4, RecordBody>, SessionClosed>);

EntryType type_of(const RecordBody& body) { return static_cast<EntryType>(body.index() + 1); }

void append_body(const RecordBody& body, std::string& out) {
  std::visit([&](const auto& one) { write(one, out); }, body);
}

Result<RecordBody> read_body(uint8_t type, std::string_view cbor) {
  switch (static_cast<EntryType>(type)) {
    case EntryType::session_opened:
      return read_whole<SessionOpened>(cbor);
    case EntryType::operation_decided:
      return read_whole<OperationDecided>(cbor);
    case EntryType::rows_returned:
      return read_whole<RowsReturned>(cbor);
    case EntryType::operation_ended:
      return read_whole<OperationEnded>(cbor);
    case EntryType::session_closed:
      return read_whole<SessionClosed>(cbor);
  }
  return fail(fmt::format("entry type {} is of a later version", type));
}

RecordBody shortened(const RecordBody& body) {
  RecordBody copy = body;
  std::visit([](auto& one) { shorten(one); }, copy);
  return copy;
}

}  // namespace sallyport::record
