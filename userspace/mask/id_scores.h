// SPDX-License-Identifier: Apache-2.0
// What proves each identifier: functions of IdRule::score, one a kind, by region (id_scores_*.cc). Each is called only
// with values of its rule's shapes. Where the source of a rule is no public standard, the comment names it.
#pragma once

#include <string_view>

namespace sallyport::mask {

// id_scores_americas.cc: United States, Canada, Brazil
float score_us_ssn(std::string_view value, bool solid);
float score_us_itin(std::string_view value, bool solid);
float score_us_npi(std::string_view value, bool solid);
float score_us_aba_routing(std::string_view value, bool solid);
float score_us_dea(std::string_view value, bool solid);
float score_us_mbi(std::string_view value, bool solid);
float score_ca_sin(std::string_view value, bool solid);
float score_br_cpf(std::string_view value, bool solid);
float score_br_cnpj(std::string_view value, bool solid);

// id_scores_germany.cc
float score_de_tax_id(std::string_view value, bool solid);
float score_de_tax_number(std::string_view value, bool solid);
float score_de_vat_id(std::string_view value, bool solid);
float score_de_id_card(std::string_view value, bool solid);
float score_de_passport(std::string_view value, bool solid);
float score_de_social_security(std::string_view value, bool solid);
float score_de_health_insurance(std::string_view value, bool solid);
float score_de_lanr(std::string_view value, bool solid);
float score_de_handelsregister(std::string_view value, bool solid);

// id_scores_europe.cc: the rest of it
float score_uk_nhs(std::string_view value, bool solid);
float score_uk_nino(std::string_view value, bool solid);
float score_uk_driving_licence(std::string_view value, bool solid);
float score_uk_vehicle(std::string_view value, bool solid);
float score_es_nif(std::string_view value, bool solid);
float score_es_cif(std::string_view value, bool solid);
float score_es_nie(std::string_view value, bool solid);
float score_it_fiscal_code(std::string_view value, bool solid);
float score_it_vat_code(std::string_view value, bool solid);
float score_fi_identity_code(std::string_view value, bool solid);
float score_pl_nip(std::string_view value, bool solid);
float score_pl_pesel(std::string_view value, bool solid);
float score_se_personnummer(std::string_view value, bool solid);
float score_se_organisationsnummer(std::string_view value, bool solid);
float score_tr_national_id(std::string_view value, bool solid);
float score_tr_license_plate(std::string_view value, bool solid);

// id_scores_asia.cc: India, Korea, Singapore, Thailand, Australia, Africa
float score_in_aadhaar(std::string_view value, bool solid);
float score_in_pan(std::string_view value, bool solid);
float score_in_gstin(std::string_view value, bool solid);
float score_in_voter(std::string_view value, bool solid);
float score_in_vehicle(std::string_view value, bool solid);
float score_kr_rrn(std::string_view value, bool solid);
float score_kr_frn(std::string_view value, bool solid);
float score_kr_brn(std::string_view value, bool solid);
float score_kr_driver_license(std::string_view value, bool solid);
float score_sg_nric(std::string_view value, bool solid);
float score_sg_uen(std::string_view value, bool solid);
float score_th_tnin(std::string_view value, bool solid);
float score_au_abn(std::string_view value, bool solid);
float score_au_acn(std::string_view value, bool solid);
float score_au_tfn(std::string_view value, bool solid);
float score_au_medicare(std::string_view value, bool solid);
float score_za_id(std::string_view value, bool solid);
float score_ng_nin(std::string_view value, bool solid);
float score_ng_vehicle(std::string_view value, bool solid);

// id_scores_europe.cc
float score_mac_address(std::string_view value, bool solid);

}  // namespace sallyport::mask
