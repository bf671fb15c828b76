// SPDX-License-Identifier: Apache-2.0
// Joins documents: names are unique, references lead somewhere, rules can be reached; then builds what decide() reads.
#pragma once

#include <memory>

#include "parse.h"

namespace sallyport::policy {

/// Everything that can only be seen with all documents at hand. Runs even after errors of single documents.
void check_together(const Documents& documents, const LoadOptions& options, Findings& findings);

/// Of an Agent without errors.
TokenRules compile_token(const Agent& agent);
/// No token proves a workload to be both of them, as far as is plain to see: their issuers, subjects, or values of one
/// claim have nothing in common.
bool told_apart(const Agent& a, const Agent& b, const std::vector<Issuer>& issuers);

/// Of documents without errors.
std::unique_ptr<const Compiled> compile(Documents documents, const LoadOptions& options);

}  // namespace sallyport::policy
