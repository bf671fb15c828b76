// SPDX-License-Identifier: Apache-2.0
#include "tests/flow/harness.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "flow/http/http_layer.h"
#include "flow/postgres/postgres_layer.h"
#include "sallyport/protocol/postgres/messages.h"
#include "sallyport/protocol/postgres/startup.h"
#include "sallyport/record/sessions.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

std::string document(std::string_view kind, std::string_view name, std::string_view spec) {
  return fmt::format("---\napiVersion: sallyport.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec: {{{}}}\n", kind,
                     name, spec);
}

}  // namespace

std::string policy_text(std::string_view documents, std::string_view target_rest) {
  return document("Agent", "bot", "workload: [{exec: bot}]") +
         document("Target", "db", fmt::format("protocol: postgres, hosts: ['10.0.0.5:5432'], {}", target_rest)) +
         std::string(documents);
}

std::string entitlement(std::string_view rest) {
  return document("Entitlement", "e", fmt::format("agent: bot, target: db, {}", rest));
}

std::string reading_customers() {
  return document("Mask", "pii",
                  "columns: [{column: public.customers.email, with: partial}, "
                  "{column: public.customers.ssn, with: redact}]") +
         entitlement(
             "masks: [pii], allow: [{sql: {statements: [select, copy], tables: [public.customers, "
             "public.orders]}}]");
}

std::string limited(std::string_view limits) {
  return entitlement(fmt::format("limits: [{}], allow: [{{sql: {{tables: [public.orders]}}}}]", limits));
}

std::string everything() { return entitlement("allow: [{sql: {}}, {sql: {statements: [unknown]}}]"); }

World::World(const std::string& policy) { set_policy(policy); }

void World::set_policy(const std::string& policy) {
  const uint64_t epoch = facts_ ? facts_->epoch + 1 : 1;
  auto loaded = policy::load({{"p.yaml", policy}}, {.epoch = epoch});
  if (!loaded) {
    for (const policy::Diagnostic& finding : loaded.error()) ADD_FAILURE() << finding.to_string();
    std::abort();  // nothing that follows would mean anything
  }
  auto facts = std::make_shared<Facts>();
  facts->policy = loaded->policy;
  facts->masker = *mask::Masker::make({});
  facts->epoch = epoch;
  facts_ = std::move(facts);
}

Result<Credential> World::credential(const std::string&) {
  return Credential{credential_user, Secret(credential_password)};
}

Result<Secret> World::verifier(const std::string&, const std::string&) { return Secret(verifier_text); }

Result<std::shared_ptr<const mask::DetectorSet>> World::detectors(const std::vector<model::DetectMask>& rules) {
  return mask::DetectorSet::compile(rules);
}

Result<Lease> World::lease(const Origin& origin, std::string_view on, const model::Limit& limit, uint64_t need,
                           const Now& at) {
  return limits.lease(node::LimitKey::of(limit, origin, on), limit.max, need, at.monotonic_ns);
}

void World::give_back(const Origin& origin, std::string_view on, const model::Limit& limit, uint64_t unspent,
                      const Now& at) {
  limits.give_back(node::LimitKey::of(limit, origin, on), unspent, at.monotonic_ns);
}

void World::add_cancel_key(const Origin& origin, uint32_t pid, std::string_view key) {
  cancel_keys_.push_back({origin.principal.agent, origin.destination, pid, std::string(key), target});
}

/// Its standing is what World::shown says at the time of asking.
class WorldToken final : public ShownToken {
 public:
  WorldToken(const World& world, std::string_view text) : world_(world), text_(text) {}
  std::shared_ptr<const Standing> standing() const override {
    const auto found = world_.shown.find(text_);
    if (found != world_.shown.end()) return found->second;
    return std::make_shared<Standing>(Standing{.is = Standing::Is::refused, .why = "nobody signed it"});
  }
  bool is(std::string_view token) const override { return token == text_; }

 private:
  const World& world_;
  const std::string text_;
};

std::shared_ptr<const ShownToken> World::show_token(const Origin&, std::string_view token) {
  shown_texts.emplace_back(token);
  return std::make_shared<WorldToken>(*this, token);
}

std::optional<CancelOwner> World::owner_of_cancel_key(const Origin& canceller, uint32_t pid, std::string_view key) {
  const std::string& agent = canceller.principal.agent;
  for (const CancelKey& known : cancel_keys_)
    if ((agent.empty() || known.agent == agent) && known.destination == canceller.destination && known.pid == pid &&
        known.key == key)
      return CancelOwner{known.target, known.agent};
  return std::nullopt;
}

void World::describe(model::FlowId, const model::SessionId&, std::string_view new_target,
                     std::string_view new_protocol) {
  target = new_target;
  protocol = new_protocol;
}

void World::pass_ms(int64_t ms) {
  now.monotonic_ns += ms * kNanosPerMilli;
  now.wall_ns += ms * kNanosPerMilli;
}

model::Endpoint listed() { return {model::IpAddress::v4(10, 0, 0, 5), 5432}; }
model::Endpoint unlisted() { return {model::IpAddress::v4(10, 9, 9, 9), 80}; }

Driver::Driver(World& world, const model::Endpoint& destination, const std::string& agent, model::FlowId id)
    : world_(world) {
  layers_["postgres"] = [](OperationLife& life) { return make_postgres_layer(life); };
  layers_["http"] = [](OperationLife& life) { return make_http_layer(life); };
  Origin origin{.id = id, .source = {model::IpAddress::v4(10, 0, 0, 1), 40000}, .destination = destination};
  origin.principal.agent = agent;
  origin.principal.process = world.process;
  flow_ = make_flow(origin, world_, layers_);
  Actions actions;
  flow_->start(world_.now, actions);
  for (const Action& action : actions.list()) carry_out(action);
}

void Driver::event(const Event& event) {
  if (finished) return;  // net/ has destroyed the flow
  Actions actions;
  flow_->on_event(event, world_.now, actions);
  for (const Action& action : actions.list()) carry_out(action);
}

void Driver::tick(int64_t ms) {
  world_.pass_ms(ms);
  if (wake_at_ns == 0 || world_.now.monotonic_ns < wake_at_ns) return;
  wake_at_ns = 0;
  event(Tick{});
}

void Driver::carry_out(const Action& action) {
  EXPECT_FALSE(finished) << "an action after Finish";
  if (const auto* send = std::get_if<Send>(&action)) {
    if (send->leg == kAgentLeg) {
      to_agent_ += send->bytes;
      all_to_agent += send->bytes;
    } else {
      EXPECT_EQ(send->leg, upstream);
      to_server_ += send->bytes;
      all_to_server += send->bytes;
      unchecked_ += send->bytes;
      check_upstream();
    }
  } else if (const auto* record = std::get_if<Record>(&action)) {
    EXPECT_EQ(record->entry.sequence, records.size());
    records.push_back(record->entry);
    auto* entry = std::get_if<model::OperationDecided>(&records.back().body);
    if (!entry) return;
    if (entry->same_as != 0) {
      const auto same = std::ranges::find(decided_, entry->same_as, &model::OperationDecided::id);
      ASSERT_NE(same, decided_.end()) << "an entry names one that does not stand before it";
      record::complete(*entry, *same);
    }
    decided_.push_back(*entry);
    EXPECT_FALSE(entry->causes.empty());
    if (entry->outcome == model::Outcome::allow) ++(entry->kind == "connect" ? connects_allowed_ : sql_allowed_);
  } else if (const auto* dial = std::get_if<Dial>(&action)) {
    if (std::exchange(startup_seen_, false)) ++sql_allowed_;  // the second try of tls.mode allow: decided already
    EXPECT_GE(connects_allowed_, 1) << "dialled before the connection was allowed";
    EXPECT_GE(sql_allowed_, 1) << "dialled before the StartupMessage was allowed";
    upstream = dial->leg;
    dial_wanted_ = true;
    unchecked_.clear();
  } else if (const auto* secure = std::get_if<Secure>(&action)) {
    secures.push_back(*secure);
  } else if (const auto* ask = std::get_if<Ask>(&action)) {
    asks.push_back(*ask);
  } else if (const auto* wake = std::get_if<Wake>(&action)) {
    if (wake_at_ns == 0 || wake->at_monotonic_ns < wake_at_ns) wake_at_ns = wake->at_monotonic_ns;
  } else if (const auto* abort = std::get_if<Abort>(&action)) {
    aborted.push_back(abort->leg);
  } else if (const auto* read = std::get_if<Read>(&action)) {
    EXPECT_EQ(read->leg, kAgentLeg);
    agent_reading = read->on;
  } else if (std::holds_alternative<Finish>(action)) {
    finished = true;
  }
}

void Driver::spend_sql(std::string_view what) {
  EXPECT_GE(sql_allowed_, 1) << what << " went to the server before a record allowed it";
  --sql_allowed_;
}

/// Requests to the server: whole ones, one after the other, each behind a record that allows it.
void Driver::check_requests() {
  std::string_view rest = unchecked_;
  while (true) {
    if (!request_body_) {
      auto next = http::next_request(rest);
      ASSERT_FALSE(std::holds_alternative<http::Violation>(next)) << rest;
      const auto* head = std::get_if<http::RequestHead>(&next);
      if (!head) break;
      spend_sql("a request");
      rest.remove_prefix(head->raw.size());
      request_body_.emplace(head->body);
    }
    auto next = request_body_->next(rest);
    ASSERT_FALSE(std::holds_alternative<http::Violation>(next)) << rest;
    const auto* piece = std::get_if<http::BodyReader::Piece>(&next);
    if (!piece) break;
    rest.remove_prefix(piece->consumed);
    if (piece->last) request_body_.reset();
  }
  unchecked_ = std::string(rest);
}

/// Whole messages to the server against the records before them.
void Driver::check_upstream() {
  if (world_.protocol == "http") return check_requests();
  std::string_view rest = unchecked_;
  while (!startup_seen_) {
    const auto packet = postgres::next_startup(rest);
    if (const auto* ssl = std::get_if<postgres::SslRequest>(&packet)) {
      rest.remove_prefix(ssl->raw.size());
    } else if (const auto* cancel = std::get_if<postgres::CancelRequest>(&packet)) {
      spend_sql("CancelRequest");
      rest.remove_prefix(cancel->raw.size());
    } else if (const auto* startup = std::get_if<postgres::StartupMessage>(&packet)) {
      spend_sql("StartupMessage");
      startup_seen_ = true;
      rest.remove_prefix(startup->raw.size());
    } else {
      break;
    }
  }
  if (startup_seen_) {
    for (const postgres::Frame& frame : take_frames(rest)) {
      const std::string text = agent_text(frame.raw);
      if (text.ends_with("(look-up)") || text == "E(refused)") continue;
      if (std::string_view("QPEF").find(frame.type) != std::string_view::npos) spend_sql(text);
    }
  }
  unchecked_ = std::string(rest);
}

}  // namespace sallyport::flow::test
