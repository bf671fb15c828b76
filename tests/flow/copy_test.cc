// SPDX-License-Identifier: Apache-2.0
// COPY … TO STDOUT: its columns are asked for before it runs, its data masked as rows are.
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kColumns = R"(SELECT "id", "name", "email", "ssn" FROM ONLY "customers")";

/// customers, which COPY gives in one way or another; email and ssn must never be seen.
struct Copies : World, Session {
  explicit Copies(const std::string& policy = policy_text(reading_customers()))
      : World(policy), Session(static_cast<World&>(*this)) {
    postgres::Field id = column("id", kCustomersOid, 1);
    id.type_oid = 23;
    server.replies[std::string(kColumns)] = {.fields = {id, column("name", kCustomersOid, 2),
                                                        column("email", kCustomersOid, 3),
                                                        column("ssn", kCustomersOid, 4)}};
    gives("copy customers to stdout",
          {"1\tAnn\\tLee\tann@example.com\t123-45-6789\n", "2\t\\N\t\\N\t\\N\n", "3\t\\\\N\tann@x.org\t\n"});
  }
  ~Copies() {
    for (std::string_view secret : {"ann@", "123-45"})
      EXPECT_EQ(driver.all_to_agent.find(secret), std::string::npos) << secret;
    for (const auto& rows : driver.recorded<model::RowsReturned>())
      for (const auto& row : rows.rows)
        for (const auto& value : row) EXPECT_EQ(value.value_or("").find("ann@"), std::string::npos);
  }
  void gives(std::string sql, std::vector<std::string> data, int16_t columns = 4, bool binary = false) {
    server.replies[std::move(sql)] = {
        .tag = "COPY", .copy_out = std::move(data), .copy_columns = columns, .copy_binary = binary};
  }
};

constexpr std::string_view kMasked =
    "H d(1\tAnn\\tLee\ta***@example.com\t[redacted]\n) d(2\t\\N\t\\N\t\\N\n) d(3\t\\\\N\ta***@x.org\t[redacted]\n) "
    "c C(COPY) Z(I)";

TEST(Copy, ATableIsMaskedByItsColumns) {
  Copies session;
  EXPECT_EQ(session.query("copy customers to stdout"), kMasked);
  EXPECT_EQ(session.upstream(),
            "P(look-up) B(look-up) E(look-up) C(look-up) C(look-up) S P(look-up) D(look-up) C(look-up) S "
            "Q(copy customers to stdout)");
  const auto ended = session.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].masked_values, 4u);
  EXPECT_EQ(ended[0].rows, 3u);
  EXPECT_EQ(session.query("copy customers to stdout"), kMasked);
  EXPECT_EQ(session.upstream(), "Q(copy customers to stdout)") << "asked once, while names mean the same";
}

TEST(Copy, RowsMayComeInAnyPieces) {
  const std::string rows = "1\tAnn\tann@example.com\t123-45-6789\n2\tBob\t\\N\t\\\\\n";
  const std::string masked = "1\tAnn\ta***@example.com\t[redacted]\n2\tBob\t\\N\t[redacted]\n";
  for (size_t at = 1; at <= rows.size(); ++at) {
    Copies session;
    session.gives("copy customers to stdout", {rows.substr(0, at), rows.substr(at)});
    const std::string answer = session.query("copy customers to stdout");
    std::string data;
    std::string_view frames = session.raw;
    for (const postgres::Frame& frame : take_frames(frames))
      if (frame.type == postgres::backend::kCopyData) data += frame.body;
    EXPECT_EQ(data, masked) << at << ' ' << answer;
    EXPECT_EQ(session.driver.recorded<model::OperationEnded>().at(0).rows, 2u);
  }
}

TEST(Copy, CsvIsQuotedAsTheServerWould) {
  Copies session;
  const std::string sql = "copy customers to stdout (format csv, header, force_quote (ssn), null 'none')";
  session.gives(sql, {"id,name,email,ssn\n", "1,\"A \"\"n\"\"\",\"ann@a,\"\"\",\"123-45-6789\"\n", "2,,none,none\n"});
  EXPECT_EQ(
      session.query(sql),
      "H d(id,name,email,ssn\n) d(1,\"A \"\"n\"\"\",\"****\"\"\",\"[redacted]\"\n) d(2,,none,none\n) c C(COPY) Z(I)");
}

TEST(Copy, BinaryKeepsItsShape) {
  Copies session;
  const std::string head("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"sv);
  const std::string ann("\0\4\0\0\0\4\0\0\0\1\377\377\377\377\0\0\0\17ann@example.com\0\0\0\013123-45-6789"sv);
  const std::string masked("\0\4\0\0\0\4\0\0\0\1\377\377\377\377\0\0\0\20a***@example.com\0\0\0\12[redacted]"sv);
  for (std::string_view sql : {"copy customers to stdout (format binary)", "copy binary customers to stdout"}) {
    session.gives(std::string(sql), {head + ann, "\377\377"}, 4, true);
    EXPECT_EQ(session.query(sql), "H d(" + head + masked + ") d(\377\377) c C(COPY) Z(I)");
  }
}

TEST(Copy, WhatIsMadeOfAMaskedColumnIsTheSameInEveryRow) {
  Copies session;
  session.server.replies["select name, upper(email) from customers"] = {
      .fields = {column("name", kCustomersOid, 2), column("upper")}};
  const std::string sql = "copy (select name, upper(email) from customers) to stdout";
  session.gives(sql, {"Ann\tANN@EXAMPLE.COM\n", "Bob\t\\N\n"}, 2);
  EXPECT_EQ(session.query(sql), "H d(Ann\t[redacted]\n) d(Bob\t[redacted]\n) c C(COPY) Z(I)");
}

TEST(Copy, ANullThatAValueMayLookLikeIsMaskedAsAValue) {
  Copies session;
  session.gives("copy customers to stdout (null 'ann@example.com')", {"1\tx\tann@example.com\tann@example.com\n"});
  EXPECT_EQ(session.query("copy customers to stdout (null 'ann@example.com')"),
            "H d(1\tx\ta***@example.com\t[redacted]\n) c C(COPY) Z(I)");
}

TEST(Copy, ByTheExtendedProtocol) {
  Copies session;
  const Messages copy = Messages().parse("", "copy customers to stdout").bind("", "").execute("").sync();
  EXPECT_EQ(session.say(copy), "1 2 " + std::string(kMasked));
}

TEST(Copy, WhatTheServerHasAgainstItsColumnsIsTheAnswer) {
  Copies session;
  session.server.replies["select nope, email from customers"] = {.sqlstate = "42601", .message = "syntax error"};
  const std::string sql = "copy (select nope, email from customers) to stdout";
  EXPECT_EQ(session.query(sql), "E(42601) Z(I)");
  EXPECT_EQ(report_field(session.raw, 'M'), "syntax error");
  EXPECT_EQ(session.say(Messages().parse("", sql).bind("", "").execute("").execute("").sync()), "1 2 E(42601) Z(I)");
  EXPECT_EQ(session.upstream().find("Q(copy"), std::string::npos);
  EXPECT_EQ(session.query("copy customers to stdout"), kMasked);
  EXPECT_EQ(session.driver.recorded<model::OperationEnded>().size(), 3u) << "a Parse that succeeds has none";
}

TEST(Copy, WithoutColumnsInCommonItIsCut) {
  Copies session;
  session.gives("copy customers to stdout", {"1\tann@example.com\n"}, 2);
  EXPECT_EQ(session.query("copy customers to stdout"), "E(42501)");
  EXPECT_TRUE(session.driver.finished);
}

TEST(Copy, ARowOfAnotherWidthIsCut) {
  Copies session;
  session.gives("copy customers to stdout", {"1\tAnn\tann@example.com\n"});
  EXPECT_EQ(session.query("copy customers to stdout"), "H E(42501)");
  EXPECT_TRUE(session.driver.finished);
}

TEST(Copy, ARowThatIsTooLargeIsCut) {
  Copies session;
  const std::string half(limits::kPgBufferedMessageBytesMax / 2, 'x');
  session.gives("copy customers to stdout", {"1\t" + half, half, half + "\tann@example.com\t\\N\n"});
  EXPECT_EQ(session.query("copy customers to stdout"), "H E(42501)");
  EXPECT_NE(report_field(session.raw, 'M').find("4194304 bytes"), std::string::npos) << report_field(session.raw, 'M');
}

TEST(Copy, DataThatEndAmidARowAreAViolation) {
  Copies session;
  session.gives("copy customers to stdout", {"1\tAnn\tann@example.com"});
  EXPECT_EQ(session.query("copy customers to stdout"), "H E(08P01)");
}

TEST(Copy, WhatCannotBeTakenApartIsRefused) {
  Copies session;
  for (std::string_view sql :
       {"copy customers to stdout (encoding 'latin1')", "copy customers to stdout (format csv, quote E'\\n')",
        "copy customers to stdout (format 'odd')", "create table t (a text); copy customers to stdout"})
    EXPECT_EQ(session.query(sql), "E(42501) Z(I)") << sql;
  EXPECT_EQ(session.upstream().find("Q("), std::string::npos);
  session.gives("copy customers to stdout (encoding 'utf-8')", {"1\tAnn\tann@example.com\t\\N\n"});
  EXPECT_EQ(session.query("copy customers to stdout (encoding 'utf-8')"),
            "H d(1\tAnn\ta***@example.com\t\\N\n) c C(COPY) Z(I)");
  session.gives("copy customers (id, name) to stdout (encoding 'latin1')", {"1\tAnn\n"}, 2);
  EXPECT_EQ(session.query("copy customers (id, name) to stdout (encoding 'latin1')"), "H d(1\tAnn\n) c C(COPY) Z(I)");
}

TEST(Copy, RecordedRowsAreThoseTheAgentGot) {
  Copies session(policy_text(reading_customers(), "tls: {mode: disable}, record: {rows: 2}"));
  EXPECT_EQ(session.query("copy customers to stdout"), kMasked);
  const auto rows = session.driver.recorded<model::RowsReturned>();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].columns, (std::vector<std::string>{"id", "name", "email", "ssn"}));
  ASSERT_EQ(rows[0].rows.size(), 2u);
  EXPECT_EQ(rows[0].rows[0],
            (std::vector<std::optional<std::string>>{"1", "Ann\tLee", "a***@example.com", "[redacted]"}));
  EXPECT_EQ(rows[0].rows[1][2], std::nullopt);
}

std::string detecting_email(std::string_view more = "") {
  return policy_text(
      "---\napiVersion: sallyport.dev/v1alpha1\nkind: Mask\nmetadata: {name: found}\n"
      "spec: {detect: [{type: email, with: redact}]}\n" +
      entitlement("masks: [found], " + std::string(more) + "allow: [{sql: {tables: [public.orders]}}]"));
}

struct Orders : World, Session {
  explicit Orders(const std::string& policy) : World(policy), Session(static_cast<World&>(*this)) {
    postgres::Field number = column("id", kOrdersOid, 1);
    number.type_oid = 20;
    server.replies[R"(SELECT "id", "item" FROM ONLY "orders")"] = {.fields = {number, column("item", kOrdersOid, 3)}};
  }
};

TEST(Copy, DetectorsReadTextValues) {
  Orders session(detecting_email());
  const std::string sql = "copy orders (id, item) to stdout";
  session.server.replies[sql] = {
      .tag = "COPY", .copy_out = {"1\task bob@example.com,\\nhe knows\n", "2\tpen\n"}, .copy_columns = 2};
  EXPECT_EQ(session.query(sql), "H d(1\task [redacted],\\nhe knows\n) d(2\tpen\n) c C(COPY) Z(I)");
  session.server.replies[sql + " binary"] = {
      .tag = "COPY",
      .copy_out = {std::string("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\2\377\377\377\377\0\0\0\17bob@example.com"sv),
                   "\377\377"},
      .copy_columns = 2,
      .copy_binary = true};
  EXPECT_EQ(session.query(sql + " binary").find("bob"), std::string::npos);
  session.server.replies["copy orders from stdin binary"] = {.copy_in = true};
  EXPECT_EQ(session.query("copy orders from stdin binary"), "G") << "nothing comes back";
}

TEST(Copy, AMaskAddedInTheMiddleReadsTheRestIfItsColumnsAreKnown) {
  const std::string sql = "copy orders (id, item) to stdout";
  std::string row;
  postgres::append_copy_data(row, "1\tann@example.com\n");
  for (const bool known : {false, true}) {
    Orders session(policy_text(entitlement("allow: [{sql: {tables: [public.orders]}}]"),
                               known ? "tls: {mode: disable}, record: {rows: 1}" : "tls: {mode: disable}"));
    session.server.replies[sql] = {.tag = "COPY", .copy_out = {"1\tpen\n"}, .copy_columns = 2};
    session.query(sql);
    session.send(Messages().query(sql));
    session.driver.from_server("H\0\0\0\x0b\0\0\2\0\0\0\0"sv);
    session.driver.from_server(row);
    EXPECT_EQ(session.answered(), "H d(1\tann@example.com\n)");
    session.set_policy(detecting_email());
    session.driver.event(Changed{});
    session.driver.from_server(row);
    EXPECT_EQ(session.answered(), known ? "d(1\t[redacted]\n)" : "E(42501)");
    EXPECT_EQ(session.driver.finished, !known);
  }
}

TEST(Copy, RowsOfOneMessageCountEach) {
  Orders session(detecting_email("limits: [{count: rows, max: 2, per: 1h}], "));
  const std::string sql = "copy orders (id, item) to stdout";
  session.server.replies[sql] = {.tag = "COPY", .copy_out = {"1\tpen\n2\tink\n3\tnib\n"}, .copy_columns = 2};
  EXPECT_EQ(session.query(sql), "H E(42501)");
}

}  // namespace
}  // namespace sallyport::flow::test
