// SPDX-License-Identifier: Apache-2.0
// Rows of text in which «» mark what must be found, and nothing else may be.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/mask/detector_set.h"

namespace sallyport::mask::test {

inline model::DetectMask rule_of(std::string_view type, double score_min = kStrongScore) {
  model::DetectMask rule{"test", std::string(type), {}};
  rule.min_score = score_min;
  return rule;
}

inline std::shared_ptr<const DetectorSet> set_of(std::initializer_list<const char*> types,
                                                 double score_min = kStrongScore) {
  std::vector<model::DetectMask> rules;
  for (const char* type : types) rules.push_back(rule_of(type, score_min));
  return *DetectorSet::compile(std::move(rules));
}

/// Scans `marked` without its marks, and writes the marks where something was found.
inline std::string found_in(const DetectorSet& set, std::string marked) {
  for (std::string_view mark : {"«", "»"}) {
    for (size_t at; (at = marked.find(mark)) != std::string::npos;) marked.erase(at, mark.size());
  }
  auto findings = set.scan(marked);
  for (auto finding = findings.rbegin(); finding != findings.rend(); ++finding) {
    marked.insert(finding->offset + finding->length, "»");
    marked.insert(finding->offset, "«");
  }
  return marked;
}

inline void expect_rows(const DetectorSet& set, std::initializer_list<std::string> rows) {
  for (const std::string& row : rows) EXPECT_EQ(found_in(set, row), row);
}

inline void expect_rows(const char* type, std::initializer_list<std::string> rows) {
  SCOPED_TRACE(type);
  expect_rows(*set_of({type}), rows);
}

}  // namespace sallyport::mask::test
