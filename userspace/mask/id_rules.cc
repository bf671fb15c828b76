// SPDX-License-Identifier: Apache-2.0
#include "mask/id_rules.h"

#include "mask/id_scores.h"

namespace sallyport::mask {
namespace {

constexpr std::string_view kPlates =
    "registration|vehicle|plate|licence|license|car|reg|plaka|kennzeichen|fahrzeug|matricule";

constexpr std::string_view kItinWords = "itin|individual taxpayer|tax id|taxid|tin";
constexpr std::string_view kSsnWords = "ssn|ssns|ss#|ssn#|social security|ssid";

// Groups that nobody prints prove as little as none.
float odd_itin(std::string_view value, bool) { return score_us_itin(value, true); }
float odd_ssn(std::string_view value, bool) { return score_us_ssn(value, true); }

// Sorted by type.
constexpr IdRule kRules[] = {
    {"au-abn", "99999999999|99-999-999-999", " ", score_au_abn, "abn|australian business number"},
    {"au-acn", "999999999|999-999-999", " ", score_au_acn, "acn|australian company number"},
    {"au-medicare", "9999999999|9999-99999-9", " ", score_au_medicare, "medicare"},
    {"au-tfn", "999999999|999-999-999", " ", score_au_tfn, "tfn|tax file number"},
    {"br-cnpj", "************99|99.999.999/9999-99|**.***.***/****-99", "-", score_br_cnpj, "cnpj"},
    {"br-cpf", "99999999999|999.999.999-99", "-", score_br_cpf, "cpf"},
    {"ca-sin", "999999999|999-999-999", " -", score_ca_sin, "sin|social insurance|numéro d'assurance sociale|nas"},
    {"de-handelsregister",
     "AAA999999|AAA99999|AAA9999|AAA999|AAA99|AAA9|"
     "AAA-999999|AAA-99999|AAA-9999|AAA-999|AAA-99|AAA-9",
     " ", score_de_handelsregister, "handelsregister|amtsgericht|registergericht"},
    {"de-health-insurance", "A999999999", "", score_de_health_insurance, "krankenkasse|kvnr|versichertennummer|gkv"},
    {"de-id-card", "A*******9|A999999999", "", score_de_id_card, "personalausweis|ausweis|id card"},
    {"de-lanr", "999999999", "", score_de_lanr, "lanr|arztnummer"},
    {"de-passport", "A*******9", "", score_de_passport, "reisepass|pass|passport"},
    {"de-social-security", "99999999A999|99-999999-A-999", " ", score_de_social_security,
     "rentenversicherung|sozialversicherung|rvnr|svnr"},
    {"de-tax-id", "99999999999|99-999-999-999", " ", score_de_tax_id, "steuer|idnr|tin"},
    {"de-tax-number", "9999999999999|999-999-99999|999-9999-9999|99-999-99999|99-9999-9999", "/", score_de_tax_number,
     "steuernummer|steuernr|st.-nr|finanzamt"},
    {"de-vat-id", "AA999999999|AA-999999999|AA-999-999-999", " -.", score_de_vat_id, "ust-id|umsatzsteuer|vat"},
    {"de-vat-id", "AA 999-999.999|AA 999.999.999|AA 999-999-999", "-", score_de_vat_id, "ust-id|umsatzsteuer|vat"},
    {"es-nie", "A9999999A|A9999999-A|A-9999999-A", "-", score_es_nie, "nie|extranjero"},
    {"es-nif", "99999999A|9999999A|99999999-A|9999999-A|AA99999999A", "- ", score_es_nif, "nif|dni"},
    {"es-nif", "A9999999*|A-9999999*|A-9999999-*|AAA9999999*", "-", score_es_cif, "nif|cif"},
    {"fi-identity-code", "999999A999*|999999-999*", "-+", score_fi_identity_code, "henkilötunnus|hetu|identity code",
     true},
    {"in-aadhaar", "999999999999|9999-9999-9999", " -:", score_in_aadhaar, "aadhaar|aadhar|uidai"},
    {"in-gstin", "99AAAAA9999A*A*", "", score_in_gstin, "gst"},
    {"in-pan", "AAAAA9999A", "", score_in_pan, "pan|permanent account number|income tax"},
    {"in-vehicle", "AA99AA9999|AA9AA9999|AA99A9999|AA9A9999|AA99AAA9999|AA-99-AA-9999|AA-99-A-9999", " -",
     score_in_vehicle, kPlates},
    {"in-voter", "AAA9999999", "", score_in_voter, "voter|epic|elector"},
    {"it-fiscal-code", "AAAAAA**A**A***A|AAA-AAA-**A**-A***A", " ", score_it_fiscal_code,
     "codice fiscale|fiscal code|cf"},
    {"it-vat-code", "99999999999|99999999_999|AA99999999999|AA 99999999999", "", score_it_vat_code, "iva|vat|piva"},
    {"kr-brn", "999-99-99999", "-", score_kr_brn, "business registration|brn|사업자등록번호"},
    {"kr-driver-license", "99-99-999999-99|999999999999", "- ", score_kr_driver_license, "license|licence|운전면허"},
    {"kr-frn", "999999-9999999|9999999999999", "-", score_kr_frn, "frn|foreigner|외국인등록번호"},
    {"kr-rrn", "999999-9999999|9999999999999", "-", score_kr_rrn, "rrn|resident|주민등록번호"},
    {"mac-address", "**-**-**-**-**-**|****.****.****", ":-", score_mac_address, "mac"},
    {"ng-nin", "99999999999", "", score_ng_nin, "nin|national identi"},
    {"ng-vehicle", "AAA-999AA|AAA999AA", "- ", score_ng_vehicle, kPlates},
    {"pl-nip", "9999999999|999-999-99-99|999-99-99-999|AA9999999999|AA 9999999999", "- ", score_pl_nip, "nip|vat"},
    {"pl-pesel", "99999999999", "", score_pl_pesel, "pesel"},
    {"se-organisationsnummer", "999999-9999|9999999999", "-", score_se_organisationsnummer,
     "organisationsnummer|orgnummer|org.nr|orgnr"},
    {"se-personnummer", "999999-9999|9999999999|99999999-9999|999999999999", "-", score_se_personnummer,
     "personnummer|pnr|samordningsnummer", true},
    {"sg-nric", "A9999999A", "", score_sg_nric, "nric|fin|identification"},
    {"sg-uen", "99999999A|999999999A|A99AA9999A", "", score_sg_uen, "uen|unique entity"},
    {"th-tnin", "9999999999999|9-9999-99999-99-9", "- ", score_th_tnin, "tnin|thai|เลขประจำตัวประชาชน"},
    {"tr-license-plate",
     "99-A-99|99-A-999|99-A-9999|99-A-99999|99-AA-99|99-AA-999|99-AA-9999|99-AAA-99|99-AAA-999|"
     "99-AAA-9999|99A9999|99A99999|99AA999|99AA9999|99AAA99|99AAA999|99AAA9999",
     " ", score_tr_license_plate, kPlates},
    {"tr-national-id", "99999999999", "", score_tr_national_id, "tckn|kimlik|national id"},
    {"uk-driving-licence", "A****999999A**AA", "", score_uk_driving_licence, "driving|licence|license|dvla"},
    {"uk-nhs", "9999999999|999-999-9999", " -", score_uk_nhs, "nhs|national health|health service"},
    {"uk-nino", "AA999999A|AA-99-99-99-A|AA-999999-A", " -", score_uk_nino, "nino|national insurance"},
    {"uk-vehicle", "AA99AAA|AA99 AAA|A999AAA|A999 AAA|A99 AAA|A9 AAA|AAA999A|AAA 999A|AAA 99A|AAA 9A", "",
     score_uk_vehicle, kPlates},
    {"us-aba-routing", "999999999|9999-9999-9", "-", score_us_aba_routing, "aba|routing|rtn|transit"},
    {"us-dea", "AA9999999|A99999999|AA-9999999", "-", score_us_dea, "dea|medical license|prescriber"},
    {"us-itin", "999-99-9999|999999999", "- ", score_us_itin, kItinWords},
    {"us-itin", "999-999999|99999-9999", "- ", odd_itin, kItinWords},
    {"us-mbi", "9A*9-A*9-AA99|9A*9A*9AA99", "- ", score_us_mbi, "medicare|mbi|beneficiary"},
    {"us-npi", "9999999999|9999-999-999", "- ", score_us_npi, "npi|provider"},
    {"us-ssn", "999-99-9999|999999999", "- .", score_us_ssn, kSsnWords},
    {"us-ssn", "999-999999|99999-9999", "- .", odd_ssn, kSsnWords},
    {"za-id", "9999999999999", "", score_za_id, "south african|id number|identity"},
};

}  // namespace

std::span<const IdRule> id_rules() { return kRules; }

}  // namespace sallyport::mask
