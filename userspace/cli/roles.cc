// SPDX-License-Identifier: Apache-2.0
#include "cli/roles.h"

#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>

#include <charconv>

#include "sallyport/base/log.h"

namespace sallyport::cli {
namespace {

bool parse_number(std::string_view text, uint32_t& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc() && end == text.data() + text.size();
}

Result<uid_t> user_id(const std::string& name) {
  uid_t uid = 0;
  if (parse_number(name, uid)) return uid;
  if (const passwd* entry = ::getpwnam(name.c_str())) return entry->pw_uid;
  return fail(fmt::format("no user `{}`", printable(name)));
}

Result<gid_t> group_id(const std::string& name) {
  gid_t gid = 0;
  if (parse_number(name, gid)) return gid;
  if (const group* entry = ::getgrnam(name.c_str())) return entry->gr_gid;
  return fail(fmt::format("no group `{}`", printable(name)));
}

}  // namespace

Result<control::RoleBinding> parse_role_binding(std::string_view text) {
  control::RoleBinding binding;
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || !control::parse_role(text.substr(0, equals), binding.role))
    return fail(fmt::format("`{}` gives no role", printable(text)),
                "write viewer, operator, approver or admin, `=`, then users and @groups, as viewer=alice,@auditors");
  for (std::string_view rest = text.substr(equals + 1); !rest.empty();) {
    const std::string name(rest.substr(0, rest.find(',')));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    if (name.starts_with('@')) {
      auto gid = group_id(name.substr(1));
      if (!gid) return std::unexpected(gid.error());
      binding.gids.push_back(*gid);
    } else {
      auto uid = user_id(name);
      if (!uid) return std::unexpected(uid.error());
      binding.uids.push_back(*uid);
    }
  }
  if (binding.uids.empty() && binding.gids.empty())
    return fail(fmt::format("`{}` names nobody", printable(text)), "as viewer=alice,@auditors");
  return binding;
}

}  // namespace sallyport::cli
