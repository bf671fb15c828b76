// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/catalogues.h"

#include "sallyport/base/limits.h"

namespace sallyport::node {
namespace {

/// Names in a sql::Missing, facts in a sql::Catalogue.
template <class ByKind>
size_t size_of(const ByKind& all) {
  return all.relations.size() + all.behind.size() + all.functions.size() + all.types.size() + all.operators.size();
}

/// What stands in `from` already wins.
template <class ByKind>
void add(ByKind& to, ByKind from) {
  from.relations.merge(to.relations);
  from.behind.merge(to.behind);
  from.functions.merge(to.functions);
  from.types.merge(to.types);
  from.operators.merge(to.operators);
  to = std::move(from);
}

template <class ByPath>
size_t count(const ByPath& all) {
  size_t out = 0;
  for (const auto& [path, held] : all) out += size_of(held);
  return out;
}

size_t count_facts(const flow::SharedCatalogue& shared) {
  size_t out = 0;
  for (const auto& [path, facts] : shared.facts) out += size_of(*facts);
  return out;
}

}  // namespace

std::shared_ptr<const flow::SharedCatalogue> Catalogues::look(const flow::CatalogueId& id, int64_t now_ns) {
  std::shared_ptr<const flow::SharedCatalogue> out;
  std::function<void()> wake;
  {
    std::lock_guard lock(mutex_);
    auto found = entries_.find(id);
    if (found == entries_.end()) {
      if (entries_.size() >= limits::kCataloguesMax) return nullptr;
      found = entries_.try_emplace(id).first;
    }
    found->second.used_ns = now_ns;
    out = found->second.shared;
    if (!out || !out->valid({.monotonic_ns = now_ns})) wake = wake_;
  }
  if (wake) wake();
  return out;
}

void Catalogues::want(const flow::CatalogueId& id, const flow::SearchPath& path, const sql::Missing& names) {
  std::function<void()> wake;
  {
    std::lock_guard lock(mutex_);
    auto found = entries_.find(id);
    if (found == entries_.end()) return;
    Wanted& wanted = found->second.wanted;
    if (count(wanted) + size_of(names) > limits::kCatalogueWantedMax) return;
    add(wanted[path], names);
    wake = wake_;
  }
  if (wake) wake();
}

void Catalogues::set_wake(std::function<void()> wake) {
  std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

std::vector<std::pair<flow::CatalogueId, int64_t>> Catalogues::list() const {
  std::lock_guard lock(mutex_);
  std::vector<std::pair<flow::CatalogueId, int64_t>> out;
  for (const auto& [id, entry] : entries_) out.emplace_back(id, entry.used_ns);
  return out;
}

Catalogues::Wanted Catalogues::take_wanted(const flow::CatalogueId& id) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(id);
  return found == entries_.end() ? Wanted{} : std::exchange(found->second.wanted, {});
}

void Catalogues::validated(const flow::CatalogueId& id, CatalogueReading reading) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  const bool same = entry.shared && entry.shared->server == reading.server && entry.fingerprint == reading.fingerprint;
  auto next = std::make_shared<flow::SharedCatalogue>();
  next->server = std::move(reading.server);
  next->generation = same ? entry.shared->generation : ++generation_;
  next->validated_ns = reading.asked_ns;
  // Too many: begin again with the new ones. Whoever floods it makes sessions ask for themselves, as without it.
  const bool fits = same && count_facts(*entry.shared) + count(reading.facts) <= limits::kCatalogueNamesMax &&
                    entry.shared->facts.size() + reading.facts.size() <= limits::kCataloguePathsMax &&
                    entry.bytes + reading.bytes <= limits::kCatalogueBytesMax;
  if (fits) next->facts = entry.shared->facts;
  entry.bytes = (fits ? entry.bytes : 0) + reading.bytes;
  for (auto& [path, facts] : reading.facts) {
    auto& held = next->facts[path];
    auto together = held ? std::make_shared<sql::Catalogue>(*held) : std::make_shared<sql::Catalogue>();
    add(*together, std::move(facts));
    held = std::move(together);
  }
  entry.shared = std::move(next);
  entry.fingerprint = std::move(reading.fingerprint);
  entry.trouble = {};
}

void Catalogues::failed(const flow::CatalogueId& id, Error trouble) {
  std::lock_guard lock(mutex_);
  if (auto found = entries_.find(id); found != entries_.end()) found->second.trouble = std::move(trouble);
}

void Catalogues::forget(const flow::CatalogueId& id) {
  std::lock_guard lock(mutex_);
  entries_.erase(id);
}

std::vector<CatalogueStatus> Catalogues::status() const {
  std::lock_guard lock(mutex_);
  std::vector<CatalogueStatus> out;
  for (const auto& [id, entry] : entries_)
    out.push_back({.id = id,
                   .validated_ns = entry.shared ? entry.shared->validated_ns : 0,
                   .names = entry.shared ? count_facts(*entry.shared) : 0,
                   .trouble = entry.trouble});
  return out;
}

}  // namespace sallyport::node
