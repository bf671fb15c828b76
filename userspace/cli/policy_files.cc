// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_files.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sallyport/base/limits.h"
#include "sallyport/policy/author.h"

namespace sallyport::cli {
namespace {

namespace fs = std::filesystem;

bool is_policy_file(const fs::path& path) {
  const std::string extension = path.extension().string();
  return (extension == ".yaml" || extension == ".yml" || extension == ".json") &&
         !path.filename().string().starts_with('.');
}

Result<policy::Source> read_source(const fs::path& path) {
  std::error_code error;
  if (fs::file_size(path, error) > limits::kPolicyFileBytesMax && !error)
    return fail(fmt::format("{} is larger than {} bytes", path.string(), limits::kPolicyFileBytesMax), "split it");
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(fmt::format("read {}", path.string()));
  return policy::Source{path.string(), std::string(std::istreambuf_iterator<char>(file), {})};
}

}  // namespace

Result<PolicyFiles> read_policy_files(const std::string& path) {
  std::vector<fs::path> paths;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    for (fs::directory_iterator each(path, error), end; !error && each != end; each.increment(error)) {
      if (each->is_regular_file(error) && is_policy_file(each->path())) paths.push_back(each->path());
    }
  } else if (fs::exists(path, error)) {
    paths.emplace_back(path);
  }
  if (error) return fail(fmt::format("read `{}`: {}", path, error.message()));
  if (paths.empty())
    return fail(fmt::format("no policy files in `{}`", path),
                "write one with `sallyport policy new --agent NAME --target postgres://host/db`");
  std::ranges::sort(paths);
  PolicyFiles files;
  for (const fs::path& each : paths) {
    auto source = read_source(each);
    if (!source) return std::unexpected(source.error());
    (policy::is_test_file(source->path) ? files.tests : files.documents).push_back(std::move(*source));
  }
  return files;
}

}  // namespace sallyport::cli
