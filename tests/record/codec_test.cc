// SPDX-License-Identifier: Apache-2.0
// Goal: what is encoded is decoded, and no bytes make the decoders misbehave. Method: round trips,
// known values from the specifications, every prefix and every flipped byte of a payload.
#include <gtest/gtest.h>

#include "record/cbor.h"
#include "record/crc32c.h"
#include "record/log_format.h"
#include "record/payload.h"
#include "sallyport/base/limits.h"
#include "tests/record/entries.h"

namespace sallyport::record {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

std::string cbor_of(const model::RecordBody& body) {
  std::string out;
  append_body(body, out);
  return out;
}

uint8_t type_number(const model::RecordBody& body) { return static_cast<uint8_t>(type_of(body)); }

TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);              // the check value of the CRC catalogue
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);    // RFC 3720 B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);  // RFC 3720 B.4
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(SessionIds, AreUlids) {
  // The example of the ULID specification: 01ARZ3NDEKTSV4RRFFQ69G5FAV is of 1469922850259 ms.
  EXPECT_EQ(session_id_wall_ns("01ARZ3NDEKTSV4RRFFQ69G5FAV"), 1'469'922'850'259 * 1'000'000);
  auto bytes = session_id_bytes("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(session_id_from_bytes(*bytes), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(session_id_bytes("01arz3ndektsv4rrffq69g5fav"), bytes);
  for (const char* bad : {"", "01ARZ3NDEKTSV4RRFFQ69G5FA", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU"})
    EXPECT_FALSE(session_id_bytes(bad)) << bad;
  EXPECT_LT(make_session_id(kWall), make_session_id(kWall + 1'000'000));
  EXPECT_NE(make_session_id(kWall), make_session_id(kWall));
  EXPECT_EQ(session_id_wall_ns(make_session_id(kWall)), kWall);
}

TEST(Cbor, KnownValues) {  // RFC 8949 appendix A
  std::string out;
  CborWriter writer(out);
  writer.unsigned_integer(1'000'000);
  writer.integer(-1'000);
  writer.string("ü");
  writer.bytes("\x01\x02");
  writer.boolean(true);
  writer.null();
  EXPECT_EQ(out, "\x1a\x00\x0f\x42\x40\x39\x03\xe7\x62\xc3\xbc\x42\x01\x02\xf5\xf6"s);
  CborReader reader(out);
  EXPECT_EQ(reader.unsigned_integer(), 1'000'000U);
  EXPECT_EQ(reader.integer(), -1'000);
  EXPECT_EQ(reader.string(), "ü");
  EXPECT_EQ(reader.string(), "\x01\x02");
  EXPECT_TRUE(reader.boolean());
  EXPECT_EQ(reader.string_or_null(), std::nullopt);
  EXPECT_TRUE(reader.ok() && reader.at_end());
}

TEST(Cbor, BytesThatAreNotUtf8GoAsByteStrings) {
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82", "\x80"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
    std::string out;
    CborWriter(out).string(bad);
    EXPECT_EQ(static_cast<uint8_t>(out[0]) >> 5, 2);
    EXPECT_EQ(CborReader(out).string(), bad);
  }
  EXPECT_TRUE(is_utf8("plain and žluťoučký and 例え and 🦆 over eight bytes"));
}

TEST(Cbor, SkippingIsBounded) {
  std::string nested(static_cast<size_t>(limits::kRecordNestingMax), '\x81');
  std::string most = nested + "\x01";
  CborReader within(most);
  within.skip();
  EXPECT_TRUE(within.ok() && within.at_end());
  std::string more = nested + "\x81\x01";
  CborReader deep(more);
  deep.skip();
  EXPECT_FALSE(deep.ok());
  for (std::string_view lie :
       {"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"sv, "\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"sv, "\x9f\x01\xff"sv}) {
    CborReader reader(lie);
    reader.skip();
    EXPECT_FALSE(reader.ok());
  }
}

TEST(Payload, EveryTypeComesBack) {
  for (const model::RecordEntry& entry : whole_session(session_id(1))) {
    std::string cbor = cbor_of(entry.body);
    auto back = read_body(type_number(entry.body), cbor);
    ASSERT_TRUE(back) << entry.sequence;
    EXPECT_EQ(back->index(), entry.body.index());
    EXPECT_EQ(cbor_of(*back), cbor);
  }
  auto back = *read_body(2, cbor_of(decided_body(9, "select 'é'", model::Outcome::hold)));
  const auto& decided = std::get<model::OperationDecided>(back);
  EXPECT_EQ(decided.parameters, (std::vector<std::string>{"7", "\xff not utf-8", ""}));
  EXPECT_EQ(decided.effects, decided_body(9, "").effects);
  EXPECT_EQ(decided.outcome, model::Outcome::hold);
  EXPECT_EQ(decided.causes[0].where, "policy.yaml:3:7");
  const model::OperationDecided alike{.id = 9, .kind = "sql", .outcome = model::Outcome::allow, .same_as = 7};
  EXPECT_EQ(std::get<model::OperationDecided>(*read_body(2, cbor_of(alike))).same_as, 7u);
  const auto opened = std::get<model::SessionOpened>(*read_body(1, cbor_of(opened_body())));
  EXPECT_EQ(opened.destination.to_string(), "[fd00::1]:5432");
  EXPECT_EQ(opened.principal.process, opened_body().principal.process);
  EXPECT_EQ(opened.principal.token, opened_body().principal.token);
  model::SessionOpened doubtful = opened_body();
  doubtful.principal.process.executable_doubt = "its executable is on fuse";
  doubtful.principal.process.sha256_missing = "its executable is larger than 512 MiB";
  EXPECT_EQ(std::get<model::SessionOpened>(*read_body(1, cbor_of(doubtful))).principal.process,
            doubtful.principal.process);
  const auto rows = std::get<model::RowsReturned>(*read_body(3, cbor_of(rows_body(1))));
  EXPECT_EQ(rows.rows[1][1], std::nullopt);
}

TEST(Payload, UnknownFieldsAreSkippedAndUnknownWordsDeny) {
  std::string later;
  CborWriter writer(later);
  writer.map(3);
  writer.unsigned_integer(1);
  writer.string("agent closed");
  writer.unsigned_integer(99);
  writer.array(2);
  writer.null();
  writer.string("of a later version");
  writer.unsigned_integer(2);
  writer.unsigned_integer(5);
  auto body = read_body(5, later);
  ASSERT_TRUE(body);
  EXPECT_EQ(std::get<model::SessionClosed>(*body).reason, "agent closed");
  EXPECT_EQ(std::get<model::SessionClosed>(*body).bytes_to_agent, 5U);
  EXPECT_FALSE(read_body(6, later));
  std::string word;
  CborWriter words(word);
  words.map(1);
  words.unsigned_integer(8);
  words.string("permit");
  EXPECT_EQ(std::get<model::OperationDecided>(*read_body(2, word)).outcome, model::Outcome::deny);
}

TEST(Payload, NoPrefixAndNoFlipMisbehaves) {
  for (const model::RecordEntry& entry : whole_session(session_id(1))) {
    std::string cbor = cbor_of(entry.body);
    uint8_t type = type_number(entry.body);
    for (size_t cut = 0; cut < cbor.size(); ++cut) EXPECT_FALSE(read_body(type, cbor.substr(0, cut))) << cut;
    EXPECT_FALSE(read_body(type, cbor + '\0'));
    for (size_t at = 0; at < cbor.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = cbor;
        flipped[at] = static_cast<char>(flipped[at] ^ 1 << bit);
        auto body = read_body(type, flipped);  // may still be well-formed: it only must not crash
        ASSERT_TRUE(!body || body->index() == entry.body.index());
      }
    }
  }
}

TEST(Payload, WhatIsTooLongIsCutAndSaysSo) {
  model::OperationDecided body = decided_body(1, "select '" + std::string(limits::kSqlTextBytesMax, 'x') + "'");
  for (int i = 0; i < 3'000; ++i) body.parameters.push_back(std::string(5'000, 'p'));
  for (int i = 0; i < 4'096; ++i)
    body.effects.push_back({"select", model::ObjectKind::relation, std::string(300, 't')});
  for (int i = 0; i < 10'000; ++i) body.masks.push_back(std::string(100, 'm'));
  ASSERT_GT(cbor_of(body).size(), limits::kRecordPayloadBytesMax);
  model::RecordBody fits = shortened(body);
  EXPECT_LT(cbor_of(fits).size(), limits::kRecordPayloadBytesMax - kSaltBytes);
  const auto& cut = std::get<model::OperationDecided>(fits);
  EXPECT_TRUE(cut.statement.ends_with("… [cut from 1048585 bytes]"));
  EXPECT_LE(cut.statement.size(), limits::kRecordStringBytesMax + 64);
  EXPECT_EQ(cut.outcome, body.outcome);
  EXPECT_EQ(cut.causes.size(), 1U);

  model::RowsReturned rows;
  for (int i = 0; i < 4'000; ++i) rows.rows.push_back({std::string(10'000, 'r')});
  EXPECT_LT(cbor_of(shortened(rows)).size(), limits::kRecordPayloadBytesMax - kSaltBytes);
  model::OperationEnded ended;
  ended.error.assign(3 << 20, 'e');
  EXPECT_LT(cbor_of(shortened(ended)).size(), limits::kRecordPayloadBytesMax - kSaltBytes);
  model::SessionOpened opened = opened_body();
  opened.principal.cgroup_path.assign(3 << 20, 'c');
  EXPECT_LT(cbor_of(shortened(opened)).size(), limits::kRecordPayloadBytesMax - kSaltBytes);
}

TEST(Headers, AFlippedBitIsNoticed) {
  std::string segment;
  append_segment_header({{1, 2, 3, 4, 5, 6, 7, 8}, 12, kWall}, segment);
  ASSERT_EQ(segment.size(), kSegmentHeaderBytes);
  EXPECT_EQ(read_segment_header(segment)->number, 12U);
  EntryHeader header;
  header.payload_bytes = 99;
  header.sequence = 7;
  header.wall_ns = kWall;
  std::string entry(kEntryHeaderBytes, '\0');
  put_entry_header(header, entry, 0);
  ASSERT_EQ(entry.size(), kEntryHeaderBytes);
  EXPECT_EQ(read_entry_header(entry)->sequence, 7U);
  for (size_t at = 0; at < entry.size(); ++at) {
    std::string flipped = entry;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    EXPECT_FALSE(read_entry_header(flipped)) << at;
    if (at >= segment.size()) continue;
    flipped = segment;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    EXPECT_FALSE(read_segment_header(flipped)) << at;
  }
  header.payload_bytes = static_cast<uint32_t>(limits::kRecordPayloadBytesMax) + 1;
  put_entry_header(header, entry, 0);
  EXPECT_FALSE(read_entry_header(entry));
}

}  // namespace
}  // namespace sallyport::record
