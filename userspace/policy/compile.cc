// SPDX-License-Identifier: Apache-2.0
#include "compile.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace sallyport::policy {
namespace {

/// Where two masks meet, the one that shows less counts.
int strictness(const model::MaskSpec& spec) {
  switch (spec.strategy) {
    case model::MaskStrategy::null:
      return 400;
    case model::MaskStrategy::redact:
      return 300;
    case model::MaskStrategy::fixed:
      return 200;
    case model::MaskStrategy::hash:
      return 100;
    case model::MaskStrategy::partial:
      return -static_cast<int>(spec.keep_last);
  }
  return 0;
}

template <class T>
void keep_strictest(T& kept, const T& other) {
  if (strictness(other.with) > strictness(kept.with) ||
      (strictness(other.with) == strictness(kept.with) && other.mask < kept.mask))
    kept = other;
}

/// `detect` lists joined: the strategy that shows less, the lower threshold.
class DetectMasks {
 public:
  void add(const model::DetectMask& found) {
    const auto [at, fresh] = masks_.try_emplace({found.type, found.regions}, found);
    if (fresh) return;
    const double score_min = std::min(at->second.min_score, found.min_score);
    keep_strictest(at->second, found);
    at->second.min_score = score_min;
  }

  std::vector<model::DetectMask> take() const {
    std::vector<model::DetectMask> out;
    for (const auto& [key, found] : masks_) out.push_back(found);
    return out;
  }

 private:
  std::map<std::pair<std::string, std::vector<std::string>>, model::DetectMask> masks_;
};

class PhaseBuilder {
 public:
  PhaseBuilder(const Compiled& compiled, const Scope& scope) : compiled_(compiled), scope_(scope) {}

  Phase build(int64_t from_ns, int64_t until_ns) const {
    Phase out;
    out.until_ns = until_ns;
    out.baseline = true;
    for (const Entitlement* entitlement : scope_.entitlements) {
      const bool grants = entitlement->grants_at(from_ns);
      for (const auto& rule : entitlement->rules) out.by_process |= rule->process.has_value();
      out.baseline &= entitlement->baseline;
      for (const auto& rule : entitlement->rules) {
        if (rule->outcome == model::Outcome::deny) out.deny.push_back(rule.get());
        if (rule->outcome == model::Outcome::hold) out.hold.push_back(rule.get());
        if (rule->outcome != model::Outcome::deny && grants) out.cover.push_back(rule.get());
      }
    }
    out.grants = !out.cover.empty();
    out.baseline &= out.grants;
    out.obligations = std::make_shared<const model::Obligations>(obligations(from_ns));
    return out;
  }

 private:
  std::set<std::string_view> mask_names(int64_t at_ns) const {
    std::set<std::string_view> out(scope_.target->masks.begin(), scope_.target->masks.end());
    for (const Entitlement* entitlement : scope_.entitlements)
      if (entitlement->grants_at(at_ns))
        for (const Reference& reveal : entitlement->reveal) out.erase(reveal.name);
    for (const Entitlement* entitlement : scope_.entitlements)
      for (const Reference& mask : entitlement->masks) out.insert(mask.name);
    return out;
  }

  model::Obligations obligations(int64_t at_ns) const {
    std::map<std::pair<std::string_view, std::string_view>, model::ColumnMask> columns;
    DetectMasks detect;
    const auto names = mask_names(at_ns);
    for (const Mask& mask : compiled_.masks) {
      if (!names.contains(mask.name)) continue;
      for (const model::ColumnMask& column : mask.columns) {
        model::ColumnMask& kept = columns.try_emplace({column.relation, column.column}, column).first->second;
        const bool predicates = kept.predicates && column.predicates;
        keep_strictest(kept, column);
        kept.predicates = predicates;
      }
      for (const model::DetectMask& found : mask.detect) detect.add(found);
    }
    model::Obligations out;
    for (const auto& [key, column] : columns) out.columns.push_back(column);
    out.detect = detect.take();
    out.limits = least_limits();
    out.record_rows_max = scope_.target->record_rows_max;
    return out;
  }

  std::vector<model::Limit> least_limits() const {
    std::map<std::tuple<model::Limit::Count, model::Limit::Over, int64_t>, model::Limit> least;
    for (const Entitlement* entitlement : scope_.entitlements) {
      for (const model::Limit& limit : entitlement->limits) {
        const auto [kept, fresh] = least.try_emplace({limit.count, limit.over, limit.per_ns}, limit);
        const auto less = [](const model::Limit& l) { return std::tuple(l.max, l.then != model::Outcome::deny); };
        if (!fresh && less(limit) < less(kept->second)) kept->second = limit;
      }
    }
    std::vector<model::Limit> out;
    for (const auto& [key, limit] : least) out.push_back(limit);
    return out;
  }

  const Compiled& compiled_;
  const Scope& scope_;
};

void build_phases(const Compiled& compiled, Scope& scope) {
  std::set<int64_t> edges;
  for (const Entitlement* entitlement : scope.entitlements) {
    if (entitlement->from_ns != kAlways) edges.insert(entitlement->from_ns);
    edges.insert(entitlement->end_ns());
  }
  edges.insert(kForever);
  const PhaseBuilder builder(compiled, scope);
  int64_t from = kAlways;
  for (int64_t edge : edges) {
    scope.phases.push_back(builder.build(from, edge));
    from = edge;
  }
}

template <class T>
void sort_by_name(std::vector<T>& list) {
  std::ranges::sort(list, {}, [](const T& item) { return std::string_view(item.name); });
}

}  // namespace

std::vector<model::DetectMask> Policy::detect_masks() const {
  DetectMasks all;
  for (const Mask& mask : compiled_->masks)
    for (const model::DetectMask& found : mask.detect) all.add(found);
  return all.take();
}

std::unique_ptr<const Compiled> compile(Documents documents, const LoadOptions& options) {
  auto out = std::make_unique<Compiled>();
  out->epoch = options.epoch;
  out->agents = std::move(documents.agents);
  sort_by_name(out->agents);
  for (const Agent& agent : out->agents) out->token_rules.push_back(compile_token(agent));
  out->issuers = std::move(documents.issuers);
  sort_by_name(out->issuers);
  out->workloads = WorkloadIndex(out->agents);
  std::ranges::sort(documents.targets, {}, [](const ParsedTarget& t) { return std::string_view(t.target.name); });
  for (ParsedTarget& parsed : documents.targets) {
    out->targets.push_back(std::move(parsed.target));
    out->target_rules.push_back(std::move(parsed.rules));
  }
  out->masks = std::move(documents.masks);
  for (Mask& mask : out->masks) {
    for (model::DetectMask& found : mask.detect) {
      const auto own = std::ranges::find(documents.detectors, found.type, &Detector::name);
      if (own != documents.detectors.end()) found.patterns = own->patterns;
    }
  }
  sort_by_name(out->masks);
  out->keys = std::move(documents.keys);
  sort_by_name(out->keys);
  out->entitlements = std::move(documents.entitlements);
  std::ranges::sort(out->entitlements, {}, [](const auto& e) { return std::string_view(e->name); });

  std::map<std::pair<std::string_view, std::string_view>, Scope*> scopes;
  for (const auto& entitlement : out->entitlements) {
    Scope*& scope = scopes[{entitlement->agent.name, entitlement->target.name}];
    if (!scope) {
      scope = out->scopes.emplace_back(std::make_unique<Scope>()).get();
      scope->agent = &*std::ranges::find(out->agents, entitlement->agent.name, &Agent::name);
      scope->target = &*std::ranges::find(out->targets, entitlement->target.name, &Target::name);
      out->scope_index.emplace(ScopeKey{scope->agent->name, scope->target->name}, scope);
    }
    scope->entitlements.push_back(entitlement.get());
    for (const auto& rule : entitlement->rules) scope->by_digest |= rule->process && !rule->process->sha256.empty();
  }
  for (const auto& scope : out->scopes) build_phases(*out, *scope);
  return out;
}

const Phase& Scope::at(int64_t wall_ns, const model::Process& process, Phase& own) const {
  const auto found = std::ranges::upper_bound(phases, wall_ns, {}, &Phase::until_ns);
  const Phase& phase = found == phases.end() ? phases.back() : *found;
  if (!phase.by_process) return phase;
  own = phase;
  const auto fit_of = [&](const Rule* rule) { return rule->process ? fit(*rule->process, process) : Fit::yes; };
  const auto for_another = [&](const Rule* rule) { return fit_of(rule) == Fit::no; };
  std::erase_if(own.deny, for_another);
  std::erase_if(own.hold, for_another);
  std::erase_if(own.cover, [&](const Rule* rule) {
    if (fit_of(rule) == Fit::yes) return false;
    own.set_aside.push_back(rule);
    return true;
  });
  own.grants = !own.cover.empty();
  own.baseline &= own.grants;
  return own;
}

const Scope* Compiled::find_scope(std::string_view agent, std::string_view target) const {
  const auto found = scope_index.find({agent, target});
  return found == scope_index.end() ? nullptr : found->second;
}

}  // namespace sallyport::policy
