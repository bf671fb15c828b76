// SPDX-License-Identifier: Apache-2.0
// A flow without sockets. World is the node: real policy, masks and detectors, fixed randomness, a clock that tests
// move. Driver hands events to one flow, keeps what it sends, and checks after every turn what must always hold:
//   - each Query, Parse, Execute, FunctionCall and HTTP request that goes up stands behind a Record that allows it,
//     one Record for one message; so do the Dial and the StartupMessage (INVARIANTS 1 and 2);
//   - nothing comes after Finish.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "flow/front/front.h"
#include "sallyport/flow/services.h"
#include "sallyport/node/limit_counters.h"
#include "sallyport/protocol/http/body.h"

namespace sallyport::flow::test {

/// Agent `bot`, and Target `db` at 10.0.0.5:5432 with `target_rest` behind its hosts; then `documents`.
std::string policy_text(std::string_view documents, std::string_view target_rest = "tls: {mode: disable}");
/// One Entitlement of bot on db, its spec in flow style.
std::string entitlement(std::string_view rest);
/// Reads of customers and orders; customers.email masked partial, customers.ssn redacted.
std::string reading_customers();
/// Reads of orders under these limits.
std::string limited(std::string_view limits);
/// Everything, `unknown` too; but no replication. No masks: transparent.
std::string everything();

class World : public Services {
 public:
  /// A policy that must load.
  explicit World(const std::string& policy);
  /// Another one; flows learn of it by a Changed event.
  void set_policy(const std::string& policy);

  std::shared_ptr<const Facts> facts() override { return facts_; }
  std::shared_ptr<const Standing> standing(const Origin&) override { return caller; }
  std::optional<model::Process> process_again(const Origin&) override { return process; }
  std::shared_ptr<const ShownToken> show_token(const Origin&, std::string_view token) override;
  void identified(const Origin& origin) override { identified_as = origin.principal; }
  std::string random_bytes(size_t count) override { return std::string(count, 'r'); }
  model::SessionId make_session_id(const Now&) override { return "01JDF00000000000000000TEST"; }
  std::string node_name() override { return "node"; }
  const Secret& node_secret() override { return node_secret_; }
  Result<Credential> credential(const std::string& file) override;
  Result<Secret> verifier(const std::string& file, const std::string& role) override;
  Result<std::shared_ptr<const mask::DetectorSet>> detectors(const std::vector<model::DetectMask>& rules) override;
  Result<Lease> lease(const Origin& origin, std::string_view target, const model::Limit& limit, uint64_t need,
                      const Now& now) override;
  void give_back(const Origin& origin, std::string_view target, const model::Limit& limit, uint64_t unspent,
                 const Now& now) override;
  void add_cancel_key(const Origin& origin, uint32_t pid, std::string_view key) override;
  std::optional<CancelOwner> owner_of_cancel_key(const Origin& canceller, uint32_t pid, std::string_view key) override;
  std::shared_ptr<const SharedCatalogue> shared_catalogue(const CatalogueId& id, const Now&) override {
    catalogues_looked_for.insert(id);
    return shared;
  }
  void want_shared(const CatalogueId&, const SearchPath& path, const sql::Missing& names) override {
    wanted[path].relations.insert(names.relations.begin(), names.relations.end());
    wanted[path].functions.insert(names.functions.begin(), names.functions.end());
  }
  void describe(model::FlowId, const model::SessionId&, std::string_view target, std::string_view protocol) override;

  void pass_ms(int64_t ms);

  Now now{.monotonic_ns = 1'000 * kNanosPerSecond, .wall_ns = 1'795'000'000 * kNanosPerSecond};
  node::LimitCounters limits;
  std::shared_ptr<const Standing> caller = std::make_shared<Standing>();
  model::Process process;  ///< that calls, as far as it is known now
  /// What tokens prove that agents show, by their text; others are refused.
  std::map<std::string, std::shared_ptr<const Standing>, std::less<>> shown;
  std::vector<std::string> shown_texts;  ///< all that were shown
  model::Principal identified_as;        ///< of the flow identified last
  std::string credential_user;           ///< of any credential file
  std::string credential_password = "secret";
  std::string verifier_text;                      ///< of any role; empty: the role has none
  std::string target, protocol;                   ///< as described last
  std::shared_ptr<const SharedCatalogue> shared;  ///< what the side connection of any catalogue knows
  std::set<CatalogueId> catalogues_looked_for;
  std::map<SearchPath, sql::Missing> wanted;

 private:
  struct CancelKey {
    std::string agent;
    model::Endpoint destination;
    uint32_t pid;
    std::string key, target;
  };
  std::shared_ptr<const Facts> facts_;
  std::vector<CancelKey> cancel_keys_;
  Secret node_secret_{"0123456789abcdef0123456789abcdef"};
};

/// Where bot believes that db is.
model::Endpoint listed();
/// A destination that no Target lists.
model::Endpoint unlisted();

class Driver {
 public:
  /// Makes the flow and starts it. `world` outlives this.
  explicit Driver(World& world, const model::Endpoint& destination = listed(), const std::string& agent = "bot",
                  model::FlowId id = 7);

  void event(const Event& event);
  void from_agent(std::string_view bytes) { event(Bytes{kAgentLeg, bytes}); }
  void from_server(std::string_view bytes) { event(Bytes{upstream, bytes}); }
  /// Lets time pass; a Tick comes if the flow wished for one by then, as net/ does it.
  void tick(int64_t ms);

  /// What was sent since the last call.
  std::string take_agent() { return std::exchange(to_agent_, {}); }
  std::string take_server() { return std::exchange(to_server_, {}); }
  bool dial_wanted() { return std::exchange(dial_wanted_, false); }

  /// The outcomes recorded so far, "allow connect", "deny sql …": all but the first two, if there are so many.
  const std::vector<model::OperationDecided>& decided() const { return decided_; }
  /// Everything of one kind in the record.
  template <class Body>
  std::vector<Body> recorded() const {
    std::vector<Body> out;
    for (const model::RecordEntry& entry : records)
      if (const Body* body = std::get_if<Body>(&entry.body)) out.push_back(*body);
    return out;
  }

  Leg upstream = kUpstreamLeg;  ///< the leg dialled last
  std::string all_to_agent, all_to_server;
  std::vector<model::RecordEntry> records;
  std::vector<Secure> secures;
  std::vector<Ask> asks;
  std::vector<Leg> aborted;
  bool finished = false;
  bool agent_reading = true;
  int64_t wake_at_ns = 0;  ///< the earliest wish since the last Tick; 0: none

 private:
  void carry_out(const Action& action);
  void check_upstream();
  void check_requests();
  void spend_sql(std::string_view what);

  World& world_;
  Layers layers_;
  std::unique_ptr<Flow> flow_;
  std::string to_agent_, to_server_;
  std::string unchecked_;                         ///< to the server, not yet a whole message
  std::optional<http::BodyReader> request_body_;  ///< of the request that goes to the server, until it is whole
  bool startup_seen_ = false;
  bool dial_wanted_ = false;
  int connects_allowed_ = 0;
  int sql_allowed_ = 0;  ///< records that allow a SQL operation, not yet spent by a message
  std::vector<model::OperationDecided> decided_;
};

}  // namespace sallyport::flow::test
