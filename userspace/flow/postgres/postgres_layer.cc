// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/postgres_layer.h"

#include "flow/postgres/conversation.h"
#include "flow/postgres/login.h"

namespace sallyport::flow {
namespace {

class PostgresLayer final : public Layer {
 public:
  explicit PostgresLayer(OperationLife& life) : connection_{.life = life}, login_(connection_) {}

  void on_event(const Event& event, Turn& turn) override {
    if (connection_.over) return;
    if (conversation_) return conversation_->on_event(event, turn);
    login_.on_event(event, turn);
    if (login_.ready() && !connection_.over) conversation_.emplace(connection_, turn);
  }

 private:
  PostgresConnection connection_;
  Login login_;
  std::optional<Conversation> conversation_;
};

}  // namespace

std::unique_ptr<Layer> make_postgres_layer(OperationLife& life) { return std::make_unique<PostgresLayer>(life); }

}  // namespace sallyport::flow
