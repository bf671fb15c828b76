// SPDX-License-Identifier: Apache-2.0
// Goal: identifiers are found in every way they are written, by their check digits and structure, and not inside
// something longer. Method: marked rows a type, then properties that hold for all types. The numbers are made up.
#include <algorithm>
#include <random>

#include "mask/check_digits.h"
#include "mask/id_rules.h"
#include "tests/mask/marked.h"

namespace sallyport::mask {
namespace {

using test::expect_rows;
using test::found_in;
using test::rule_of;
using test::set_of;

TEST(Ids, Americas) {
  expect_rows("us-ssn", {"ssn «219-45-7821»", "«219 45 7821» and «219.45.7821»", "social security number «219457821»",
                         "219457821", "000-45-7821 666-45-7821 912-45-7821 219-00-7821 219-45-0000", "219-45.7821",
                         "1219-45-78213", "x-219-45-7821-y is «219-45-7821»"});
  expect_rows("us-itin", {"«912-71-4432»", "912-49-4432", "912-93-4432", "itin «912714432»", "912714432"});
  expect_rows("us-npi", {"«1473028565»", "NPI: «1473028565».", "«1473-028-565»", "1473028566", "3473028565"});
  expect_rows("us-aba-routing", {"«026005717»", "routing «0260-0571-7»", "026005718", "996005717"});
  expect_rows("us-dea", {"«AB1234563»", "DEA# «F91234563»", "«BC-1234563»", "AB1234564", "IB1234563"});
  expect_rows("us-mbi", {"«4EG7-TF5-MK82»", "MBI «4EG7TF5MK82»", "4EG7TF5MK82", "4SG7-TF5-MK82", "0EG7-TF5-MK82"});
  expect_rows("ca-sin", {"«467-129-532»", "«467 129 532»", "sin «467129532»", "467129532", "467-129-533"});
  expect_rows("br-cpf", {"«529.982.731-81»", "«52998273181»", "52998273182", "111.111.111-11"});
  expect_rows("br-cnpj", {"«11.444.777/0001-61»", "«11444777000161»", "«12.ABC.345/01DE-35»", "«12ABC34501DE35»",
                          "11.444.777/0001-62"});
}

TEST(Ids, Germany) {
  expect_rows("de-tax-id", {"IdNr. «65929704899»", "«65 929 704 899»", "65929704898", "11111111111"});
  expect_rows("de-tax-number", {"St.-Nr. «133/815/08152»", "«133/8150/8159»", "finanzamt «21/815/08150»", "1/2/3"});
  expect_rows("de-vat-id", {"«DE811293740»", "«DE 811 293 740»", "«de811293740»", "vat id: «DE811293741»",
                            "«DE811293741»", "DE81129374", "XX811293740"});
  expect_rows("de-id-card", {"«LZ6311T48»", "«lz6311t48»", "LZ6311T47", "BZ6311T48"});
  expect_rows("de-passport", {"«CH7KV3R23»", "CH7KV3R24"});
  expect_rows("de-social-security", {"«53270139W043»", "«53 270139 W 043»", "53270139W044", "53271339W043"});
  expect_rows("de-health-insurance", {"«K739205188»", "K739205189"});
  expect_rows("de-lanr", {"«482915403»", "482915503"});
  expect_rows("de-handelsregister", {"«HRB 86891», Amtsgericht", "«HRA1234»", "HRC 1234", "HRB"});
}

TEST(Ids, Europe) {
  expect_rows("uk-nhs", {"«943 476 5919»", "«943-476-5919»", "«9434765919»", "943 476 5918"});
  expect_rows("uk-nino", {"«AB123456C»", "«AB 12 34 56 C»", "«ab123456c»", "BG123456A", "AB123456E", "DA123456A"});
  expect_rows("uk-driving-licence",
              {"«PORTE712147SA9IJ»", "«LI999806175B99XY»", "PORTE713147SA9IJ", "PORTE712327SA9IJ"});
  expect_rows("uk-vehicle", {"«LB07 SXY»", "«LB07SXY»", "LB37 SXY", "reg «K456 XYZ»", "K456 XYZ"});
  expect_rows("es-nif", {"«47283916X»", "«47283916-X»", "47283916Y", "«ES47283916X»", "FR47283916X", "«A58818501»",
                         "A58818502", "«Q2826000H»", "Q28260008", "«ESA58818501»", "«K1234567L»"});
  expect_rows("es-nie", {"«X4719283M»", "X4719283N", "A4719283M"});
  expect_rows("it-fiscal-code",
              {"«BNCLRA74D52F205U»", "«BNC LRA 74D52 F205U»", "BNCLRA74D52F205V", "codice fiscale «BNCLRA74D52F205V»"});
  expect_rows("it-vat-code", {"«07483910159»", "07483910158", "«IT07483910159»", "«IT 07483910159»", "FR07483910159"});
  expect_rows("fi-identity-code",
              {"«150477-3823»", "«150403A517B»", "it is«150403A517B».", "«010234+1019»", "150477-3824", "310277-3823"});
  expect_rows("pl-nip", {"«5261040828»", "NIP «526-104-08-28»", "«PL5261040828»", "5261040827", "DE5261040828"});
  expect_rows("pl-pesel", {"«85071347294»", "85071347295", "85131347294"});
  expect_rows("se-personnummer", {"«850713-4727»", "«8507134727»", "«19850713-4727»", "850732-4727", "850713-4728"});
  expect_rows("se-organisationsnummer", {"«559284-7163»", "«5592847163»", "559284-7164"});
  expect_rows("tr-national-id", {"«48295716350»", "48295716351", "08295716350"});
  expect_rows("tr-license-plate", {"«34 ABC 123»", "«06AB1234»", "82 ABC 123"});
}

TEST(Ids, AsiaAustraliaAfrica) {
  expect_rows("in-aadhaar", {"«583917264031»", "«5839 1726 4031»", "583917264032", "183917264031"});
  expect_rows("in-pan", {"«AAPFU0939F»", "AAPXU0939F", "pan «AAPXU0939F»"});
  expect_rows("in-gstin", {"«26AAPFU0939F1ZX»", "99AAPFU0939F1ZX", "26AAPFU0939F1YX"});
  expect_rows("in-voter", {"«KBD4829157»"});
  expect_rows("in-vehicle", {"«MH12DE1433»", "XX12DE1433"});
  expect_rows("kr-rrn", {"«850713-1427386»", "850713-5427386", "851313-1427386"});
  expect_rows("kr-frn", {"«850713-5427386»", "850713-1427386"});
  expect_rows("kr-brn", {"«120-86-39142»", "120-86-39143"});
  expect_rows("kr-driver-license", {"«11-22-482915-12»", "10-22-482915-12", "202611240522"});
  expect_rows("sg-nric", {"«S7392051E»", "nric «A7392051E»", "A7392051E"});
  expect_rows("sg-uen", {"«201839274R»", "201839274S"});
  expect_rows("th-tnin", {"«3410205728392»", "«3-4102-05728-39-2»", "3410205728393"});
  expect_rows("au-abn", {"«73 947 541 005»", "«73947541005»", "73947541006"});
  expect_rows("au-acn", {"«482 915 739»", "482 915 738"});
  expect_rows("au-tfn", {"«485 451 053»", "485 451 054"});
  expect_rows("au-medicare", {"«3829 15743 1»", "«3829157431»", "3829157441"});
  expect_rows("za-id", {"«8507134723085»", "8507134723086"});
  expect_rows("ng-nin", {"«48295716343»", "48295716344"});
  expect_rows("ng-vehicle", {"«KJA-482AA»"});
}

TEST(Ids, MacAddress) {
  expect_rows("mac-address", {"«00:1b:44:11:3a:b7»", "«00-1B-44-11-3A-B7»", "«001b.4411.3ab7»",
                              "mac: «de:ad:be:ef:ca:fe»", "ff:ff:ff:ff:ff:ff", "00:1b:44:11:3a", "00:1b:44:11:3a:b7:c8",
                              "00:1b-44:11:3a:b7", "fb:00:1b:44:11:3a:b7", "mac:«00:1b:44:11:3a:b7»"});
}

TEST(Ids, NotInsideSomethingLonger) {
  expect_rows("us-npi", {"14730285651", "x1473028565", "1473028565x", "1473028565_1", "id_1473028565", "0.1473028565",
                         "1473028565.5", "+1473028565", "$1473028565", "1473028565@example.com", "2026-1473028565",
                         "1473028565-77", "a0eebc99-9c0b-4ef8-bb6d-1473028565", "(«1473028565»)", "\"«1473028565»\"",
                         "n:«1473028565»,", "é«1473028565»é", "«1473028565».", "1 «1473028565» 2"});
  // Groups with spaces between: more of them, and it is another number.
  expect_rows("uk-nhs", {"12 943 476 5919", "943 476 5919 12", "no. «943 476 5919»"});
}

TEST(Ids, AWordOfContextRaisesWeakEvidence) {
  auto ssn = set_of({"us-ssn"});
  EXPECT_EQ(ssn->scan("219457821").size(), 0U);
  EXPECT_EQ(ssn->scan("SSN=219457821").size(), 1U);
  EXPECT_EQ(ssn->scan("customerSsn: 219457821").size(), 1U);
  EXPECT_EQ(ssn->scan("classness 219457821").size(), 0U) << "not within a word";
  EXPECT_EQ(ssn->scan("SSN" + std::string(62, ' ') + "219457821").size(), 0U) << "too far away";
  auto low = set_of({"us-ssn"}, 0.1);
  ASSERT_EQ(low->scan("219457821").size(), 1U);
  EXPECT_FLOAT_EQ(low->scan("219457821")[0].score, kFaint);
  EXPECT_FLOAT_EQ(low->scan("ssn 219457821")[0].score, kFaint + kContext);
  EXPECT_FLOAT_EQ(low->scan("ssn 219-45-7821")[0].score, kShaped + kContext);
  auto high = set_of({"us-ssn"}, 0.7);
  EXPECT_EQ(high->scan("219-45-7821").size(), 0U);
  EXPECT_EQ(high->scan("ssn 219-45-7821").size(), 1U);
}

TEST(Ids, EveryOneDigitErrorIsSeen) {
  // What check digits promise: of values with one digit changed, none (weighted sums: few) passes.
  const std::pair<const char*, std::string> samples[] = {
      {"us-npi", "1473028565"},          {"br-cpf", "52998273181"},      {"de-tax-id", "65929704899"},
      {"uk-nhs", "9434765919"},          {"in-aadhaar", "583917264031"}, {"ng-nin", "48295716343"},
      {"tr-national-id", "48295716350"}, {"au-abn", "73947541005"},      {"us-aba-routing", "026005717"},
      {"it-vat-code", "07483910159"}};
  for (const auto& [type, good] : samples) {
    auto set = set_of({type});
    ASSERT_EQ(set->scan(good).size(), 1U) << type;
    for (size_t at = 0; at < good.size(); ++at) {
      for (char digit = '0'; digit <= '9'; ++digit) {
        if (digit == good[at]) continue;
        std::string bad = good;
        bad[at] = digit;
        EXPECT_EQ(set->scan(bad).size(), 0U) << type << ' ' << bad;
      }
    }
  }
}

TEST(Ids, AllTypesTogetherFindWhatEachFindsAlone) {
  std::vector<model::DetectMask> rules;
  for (const IdRule& rule : id_rules()) {
    if (rules.empty() || rules.back().type != rule.type) rules.push_back(rule_of(rule.type));
  }
  auto all = *DetectorSet::compile(rules);
  std::vector<std::shared_ptr<const DetectorSet>> alone;
  for (const auto& rule : rules) alone.push_back(*DetectorSet::compile({rule}));
  std::mt19937 random(7);
  const std::string_view alphabet = "0123456789012345678901234567890 --./:AZDEx";
  for (int round = 0; round < 2'000; ++round) {
    std::string text(random() % 60, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    size_t count = 0;
    for (const auto& one : alone) count += one->scan(text).size();
    EXPECT_EQ(all->scan(text).size(), count) << text;
  }
}

TEST(Ids, TableIsSortedAndItsShapesFit) {
  EXPECT_TRUE(std::ranges::is_sorted(id_rules(), {}, &IdRule::type));
  for (const IdRule& rule : id_rules()) EXPECT_NE(rule.score, nullptr) << rule.type;
}

TEST(CheckDigits, Dates) {
  EXPECT_TRUE(is_date(2000, 2, 29));
  EXPECT_FALSE(is_date(1900, 2, 29));
  EXPECT_FALSE(is_date(2024, 4, 31));
  EXPECT_FALSE(is_date(2024, 0, 1));
  EXPECT_FALSE(is_date(2024, 13, 1));
  EXPECT_FALSE(is_date(2024, 1, 0));
}

}  // namespace
}  // namespace sallyport::mask
