// SPDX-License-Identifier: Apache-2.0
// What would allow what was refused: YAML that can be pasted, as small as it can be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiled.h"

namespace sallyport::policy {

using Effects = std::vector<const model::Effect*>;

/// "allow: [{sql: {statements: [update], tables: [public.invoices], columns: [amount]}}]": what covers exactly these
/// effects. No effects: a rule to start with. `process`: what stands under that key of each rule; empty: nothing.
std::string smallest_allow(const Effects& effects, std::string_view process = {});

/// That rule, on one line, with the Entitlement to put it in as a comment.
std::string hint_rule(std::string_view allow, const Entitlement& into);
/// "allow: [{http: {methods: [GET], paths: [/v1]}}]": what covers exactly this request.
std::string smallest_allow(const model::Http& http, std::string_view process = {});
/// A rule to start with, for a Target of `protocol`.
std::string first_allow(std::string_view protocol, std::string_view process = {});

/// A whole Entitlement on one line, for an agent that has none on this target.
std::string hint_entitlement(std::string_view agent, std::string_view target, std::string_view allow);
/// A Target and an Entitlement, a line each, for a destination that is not listed.
std::string hint_target(std::string_view agent, const model::Endpoint& destination);

}  // namespace sallyport::policy
