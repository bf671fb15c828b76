// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <exception>

#include "compile.h"
#include "sallyport/base/limits.h"
#include "sallyport/policy/policy.h"

namespace sallyport::policy {
namespace {

Documents read_documents(const std::vector<Source>& sources, Findings& findings) {
  Documents out;
  Reader reader(findings);
  size_t nodes_left = limits::kPolicyNodesMax;
  size_t documents = 0;
  for (const Source& source : sources) {
    findings.enter(source.path);
    for (const Node& node : read_yaml(source.text, findings, nodes_left)) {
      if (node.is_null()) continue;
      if (++documents > limits::kPolicyDocumentsMax) {
        reader.wrong(node, fmt::format("more than {} documents", limits::kPolicyDocumentsMax));
        return out;
      }
      parse_document(node, reader, out);
    }
  }
  return out;
}

}  // namespace

std::expected<Loaded, std::vector<Diagnostic>> load(const std::vector<Source>& sources, const LoadOptions& options) {
  try {
    Findings findings;
    Documents documents = read_documents(sources, findings);
    check_together(documents, options, findings);
    const bool bad = findings.has_errors();
    std::vector<Diagnostic> list = findings.take();
    if (bad) return std::unexpected(std::move(list));
    return Loaded{std::make_shared<const Policy>(compile(std::move(documents), options)), std::move(list)};
  } catch (const std::exception& e) {
    return std::unexpected(std::vector<Diagnostic>{
        {sources.empty() ? "" : sources[0].path, 1, 1, fmt::format("cannot read the policy: {}", e.what()), "", true}});
  }
}

}  // namespace sallyport::policy
