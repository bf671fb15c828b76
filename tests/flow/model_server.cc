// SPDX-License-Identifier: Apache-2.0
#include "tests/flow/model_server.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sallyport/base/bytes.h"
#include "sallyport/protocol/postgres/startup.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

using namespace postgres;

std::vector<std::string> array_elements(std::string_view text) {
  std::vector<std::string> out;
  bool quoted = false;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '"') {
      if (!quoted) out.emplace_back();
      quoted = !quoted;
    } else if (quoted) {
      if (text[i] == '\\') ++i;
      out.back() += text[i];
    }
  }
  return out;
}

std::string table_fact(uint32_t oid, std::string_view name, std::string_view columns) {
  return fmt::format(R"("oid":"{}","schema":"public","name":"{}","kind":"r","temp":false,"hidden":null,"columns":{},)"
                     R"("sequences":null,"up":null,"down":null)",
                     oid, name, columns);
}

bool starts_with_word(std::string_view sql, std::string_view word) {
  return sql.size() >= word.size() && strncasecmp(sql.data(), word.data(), word.size()) == 0;
}

}  // namespace

Field column(std::string_view name, uint32_t table_oid, int16_t number) {
  return {.name = name, .table_oid = table_oid, .column = number, .type_oid = 25, .type_size = -1, .type_modifier = -1};
}

ModelServer::ModelServer() {
  relations["customers"] = table_fact(kCustomersOid, "customers", R"(["id","name","email","ssn"])");
  relations["orders"] = table_fact(kOrdersOid, "orders", R"(["id","customer_id","item"])");
  replies["select email from customers"] = {
      .fields = {column("email", kCustomersOid, 3)}, .rows = {{"ann@example.com"}}, .tag = "SELECT 1"};
  replies["select item from orders"] = {
      .fields = {column("item", kOrdersOid, 3)}, .rows = {{"pen"}, {"ink"}}, .tag = "SELECT 2"};
  replies["begin"] = {.tag = "BEGIN"};
  replies["commit"] = {.tag = "COMMIT"};
  replies["rollback"] = {.tag = "ROLLBACK"};
}

void ModelServer::receive(std::string_view bytes) {
  in_ += bytes;
  std::string_view input = in_;
  while (!started_ && startup(input)) {
  }
  if (started_)
    for (const Frame& frame : take_frames(input)) message(frame);
  in_ = std::string(input);
}

bool ModelServer::startup(std::string_view& input) {
  const auto packet = next_startup(input);
  const auto* startup = std::get_if<StartupMessage>(&packet);
  if (!startup) return false;
  input.remove_prefix(startup->raw.size());
  started_ = true;
  append_authentication_ok(out_);
  append_parameter_status(out_, "server_version", "15.4");
  append_parameter_status(out_, "client_encoding", "UTF8");
  append_parameter_status(out_, "standard_conforming_strings", "on");
  append_backend_key_data(out_, 42, "key!");
  ready();
  return true;
}

void ModelServer::message(const Frame& frame) {
  if (copy_in_) return copy_data(frame);
  if (frame.type == frontend::kSync) {
    skipping_ = false;
    if (status_ == 'I') portals_.clear();
    ready();
  } else if (frame.type == frontend::kFlush) {
    out_ += std::exchange(held_, {});
  } else if (frame.type == frontend::kCopyData || skipping_) {
    return;  // late data of a COPY that failed; what stands before the Sync
  } else if (frame.type == frontend::kQuery) {
    query(parse_query(frame.body)->sql);
  } else if (frame.type == frontend::kFunctionCall) {
    executed.push_back("function call");
    append_function_call_response(held_, function_result ? Value(*function_result) : Value());
    ready();
  } else {
    extended(frame);
  }
}

void ModelServer::copy_data(const Frame& frame) {
  if (frame.type != frontend::kCopyDone && frame.type != frontend::kCopyFail) return;
  copy_in_ = false;
  if (frame.type == frontend::kCopyFail)
    error("57014", "COPY failed");
  else
    append_command_complete(held_, "COPY 1");
  if (copy_in_query_) skipping_ = false, ready();
}

void ModelServer::extended(const Frame& frame) {
  switch (frame.type) {
    case frontend::kParse: {
      auto parse = parse_parse(frame.body);
      const std::string sql(parse->sql);
      if (parse->statement != "sallyport look-up") executed.push_back("parse " + sql);
      if (fails_in_aborted_transaction(sql)) return;
      if (!parse->statement.empty() && statements_.contains(parse->statement))
        return error("42P05", "prepared statement already exists");
      if (reply_to(sql).sqlstate == "42601") return error("42601", "syntax error");
      statements_[std::string(parse->statement)] = sql;
      return append_empty(held_, backend::kParseComplete);
    }
    case frontend::kBind: {
      auto bind = parse_bind(frame.body);
      auto found = statements_.find(bind->statement);
      if (found == statements_.end()) return error("26000", "prepared statement does not exist");
      if (fails_in_aborted_transaction(found->second)) return;
      Portal& portal = portals_[std::string(bind->portal)] = {.sql = found->second};
      for (size_t i = 0; i < bind->result_formats.size(); ++i) portal.formats.push_back(bind->result_formats[i]);
      for (const Value value : bind->parameters) portal.lookup.emplace_back(value.value_or(""));
      return append_empty(held_, backend::kBindComplete);
    }
    case frontend::kDescribe: {
      auto describe = parse_describe(frame.body);
      std::string sql;
      int16_t format = 0;
      if (describe->kind == Named::statement) {
        auto found = statements_.find(describe->name);
        if (found == statements_.end()) return error("26000", "prepared statement does not exist");
        append_parameter_description(held_, {});
        sql = found->second;
      } else {
        auto found = portals_.find(describe->name);
        if (found == portals_.end()) return error("34000", "portal does not exist");
        sql = found->second.sql;
        if (!found->second.formats.empty()) format = found->second.formats.front();
      }
      Reply reply = reply_to(sql);
      for (Field& field : reply.fields) field.format = format;
      if (reply.fields.empty()) return append_empty(held_, backend::kNoData);
      return append_row_description(held_, reply.fields);
    }
    case frontend::kExecute: {
      auto execute = parse_execute(frame.body);
      auto found = portals_.find(execute->portal);
      if (found == portals_.end()) return error("34000", "portal does not exist");
      if (fails_in_aborted_transaction(found->second.sql)) return;
      copy_in_query_ = false;
      run(found->second.sql, found->second, execute->rows_max, /*describe=*/false);
      return;
    }
    case frontend::kClose: {
      auto close = parse_close(frame.body);
      if (close->kind == Named::statement)
        statements_.erase(std::string(close->name));
      else
        portals_.erase(std::string(close->name));
      return append_empty(held_, backend::kCloseComplete);
    }
    default:
      return;
  }
}

void ModelServer::query(std::string_view sql) {
  Portal portal{.sql = std::string(sql)};
  copy_in_query_ = true;
  if (!fails_in_aborted_transaction(sql)) run(portal.sql, portal, 0, /*describe=*/true);
  skipping_ = false;
  if (!copy_in_) ready();
}

bool ModelServer::fails_in_aborted_transaction(std::string_view sql) {
  if (status_ != 'E' || starts_with_word(sql, "rollback") || starts_with_word(sql, "commit")) return false;
  error("25P02", "current transaction is aborted");
  return true;
}

Reply ModelServer::reply_to(std::string_view sql) const {
  auto found = replies.find(sql);
  return found == replies.end() ? Reply{} : found->second;
}

bool ModelServer::run(const std::string& sql, Portal& portal, int32_t rows_max, bool describe) {
  if (sql.find("pg_catalog.json_build_object('q'") != std::string::npos) return run_lookup(portal), true;
  executed.push_back(sql);
  Reply reply = reply_to(sql);
  if (!reply.notification.empty())
    append_notification_response(held_, {.pid = 7, .channel = "news", .payload = reply.notification});
  if (!reply.notice.empty())
    append_notice_response(held_, {.severity = "NOTICE", .sqlstate = "00000", .message = reply.notice});
  if (!reply.sqlstate.empty()) return error(reply.sqlstate, reply.message), false;
  if (starts_with_word(sql, "begin")) status_ = 'T';
  if (starts_with_word(sql, "commit") || starts_with_word(sql, "rollback")) {
    if (status_ == 'E') reply.tag = "ROLLBACK";
    status_ = 'I';
  }
  if (reply.copy_in || !reply.copy_out.empty()) {
    out_ += std::exchange(held_, {});
    ByteWriter response(out_);
    response.u8(static_cast<uint8_t>(reply.copy_in ? 'G' : 'H'));
    response.u32(static_cast<uint32_t>(7 + 2 * reply.copy_columns));
    response.u8(reply.copy_binary);
    response.u16(static_cast<uint16_t>(reply.copy_columns));
    for (int16_t i = 0; i < reply.copy_columns; ++i) response.u16(reply.copy_binary);
    for (const std::string& line : reply.copy_out) append_copy_data(out_, line);
    if (reply.copy_in) return copy_in_ = true;
    append_copy_done(out_);
  }
  if (describe && !reply.fields.empty()) append_row_description(held_, reply.fields);
  for (int32_t given = 0; portal.row < reply.rows.size(); ++portal.row, ++given) {
    if (rows_max > 0 && given == rows_max) return append_empty(held_, backend::kPortalSuspended), true;
    DataRowBuilder row(held_);
    for (const auto& value : reply.rows[portal.row]) value ? row.value(*value) : row.null();
    row.finish();
  }
  append_command_complete(held_, reply.tag);
  return true;
}

void ModelServer::run_lookup(const Portal& portal) {
  ++lookups;
  if (lookup_fails) return error("57014", "canceling statement due to statement timeout");
  auto row = [&](const std::string& json) {
    DataRowBuilder builder(held_);
    builder.value(json);
    builder.finish();
  };
  const std::vector<std::string> names = array_elements(portal.lookup[1]);
  for (size_t i = 0; i < names.size(); ++i)
    if (auto found = relations.find(names[i]); found != relations.end())
      row(fmt::format(R"({{"q":"r","i":{},{}}})", i + 1, found->second));
  const std::vector<std::string> functions = array_elements(portal.lookup[3]);
  for (size_t i = 0; i < functions.size(); ++i)
    if (auto found = routines.find(functions[i]); found != routines.end())
      row(fmt::format(
          R"({{"q":"f","i":{},"more":false,"schema":"public","name":"{}","owner":"boss","kind":"f","volatility":"v",)"
          R"("definer":false,"language":"sql","library":null,"settings":null,"parameters":null,"defaults":null,)"
          R"("definition":false,"source":"{}","parts":null,"types":null}})",
          i + 1, functions[i], found->second));
  const std::vector<std::string> behind = array_elements(portal.lookup[10]);
  for (size_t i = 0; i < behind.size(); ++i)
    if (behind[i] == "pg_event_trigger")  // there are none
      row(fmt::format(R"({{"q":"b","i":{},"triggers":null,"code":null,"unasked":null,"cascades":null,)"
                      R"("definition":null,"foreign":null,"options":null}})",
                      i + 1));
  for (const std::string& oid : array_elements(portal.lookup[4]))
    row(fmt::format(R"({{"q":"o","oid":"{}","schema":"pg_catalog","name":"lower"}})", oid));
  row(fmt::format(
      R"({{"q":"s","schema":"{0}","path":["pg_catalog","{0}"],"temp":{1},"server":"1/2/3","frozen":{3},"snapshot":{2}}})",
      search_path_schema, temporary_objects, snapshot.empty() ? "null" : fmt::format("\"{}\"", snapshot), frozen));
  append_command_complete(held_, "SELECT 1");
}

void ModelServer::error(std::string_view sqlstate, std::string_view message) {
  append_error_response(held_, {.sqlstate = sqlstate, .message = message});
  out_ += std::exchange(held_, {});  // the server flushes after an error
  skipping_ = true;
  if (status_ == 'T') status_ = 'E';
}

void ModelServer::ready() {
  append_ready_for_query(held_, static_cast<TransactionStatus>(status_));
  out_ += std::exchange(held_, {});
}

// ---------------------------------------------------------------- Session

Session::Session(World& world, model::FlowId id) : Session(world, startup_packet(), id) {}

Session::Session(World& world, std::string_view startup, model::FlowId id, const std::string& agent)
    : world(world), driver(world, listed(), agent, id) {
  say(startup);
  upstream();
}

void Session::deliver(Leg leg, std::string_view bytes) {
  deliveries.push_back({leg, std::string(bytes)});
  driver.event(Bytes{leg == kAgentLeg ? kAgentLeg : driver.upstream, bytes});
}

void Session::settle() {
  while (!driver.finished) {
    if (driver.dial_wanted()) driver.event(Dialled{driver.upstream, listed()});
    const std::string to_server = driver.take_server();
    upstream_ += to_server;
    server.receive(to_server);
    const std::string answer = server.take();
    if (answer.empty()) return;
    deliver(kUpstreamLeg, answer);
  }
}

std::string Session::say(std::string_view bytes) {
  send(bytes);
  settle();
  return answered();
}

std::string Session::query(std::string_view sql) { return say(Messages().query(sql)); }

std::string Session::upstream() {
  upstream_ += driver.take_server();
  std::string text = agent_text(std::exchange(upstream_, {}));
  return text;
}

std::string Session::answered() {
  raw = driver.take_agent();
  return server_text(raw);
}

std::string startup_packet(std::vector<std::pair<std::string, std::string>> more) {
  std::vector<std::pair<std::string, std::string>> parameters = {{"user", "app"}, {"database", "shop"}};
  for (auto& [name, value] : more) {
    auto same = std::ranges::find(parameters, name, &std::pair<std::string, std::string>::first);
    if (same != parameters.end())
      same->second = value;
    else
      parameters.emplace_back(name, value);
  }
  std::string out;
  append_startup_message(out, kProtocol30, parameters);
  return out;
}

Messages& Messages::parse(std::string_view name, std::string_view sql) {
  return append_parse(bytes_, name, sql), *this;
}
Messages& Messages::bind(std::string_view portal, std::string_view statement, int16_t result_format) {
  const int16_t formats[] = {result_format};
  append_bind(bytes_, portal, statement, {}, {}, formats);
  return *this;
}
Messages& Messages::describe(std::string_view portal) { return append_describe(bytes_, Named::portal, portal), *this; }
Messages& Messages::execute(std::string_view portal, int32_t rows_max) {
  return append_execute(bytes_, portal, rows_max), *this;
}
Messages& Messages::close(Named kind, std::string_view name) { return append_close(bytes_, kind, name), *this; }
Messages& Messages::query(std::string_view sql) { return append_query(bytes_, sql), *this; }
Messages& Messages::sync() { return append_sync(bytes_), *this; }
Messages& Messages::flush() { return append_flush(bytes_), *this; }

}  // namespace sallyport::flow::test
