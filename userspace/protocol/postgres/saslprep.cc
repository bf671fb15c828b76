// SPDX-License-Identifier: Apache-2.0
#include <stringprep.h>

#include <cstdlib>
#include <cstring>

#include "sallyport/protocol/postgres/scram.h"

namespace sallyport::postgres {

Secret saslprep(const Secret& password) {
  const std::string_view raw = password.reveal();
  // A NUL cannot be typed into any client, and would cut the string that libidn sees.
  if (raw.find('\0') != std::string_view::npos) return password;
  std::string terminated(raw);
  char* prepared = nullptr;
  const int failure = stringprep_profile(terminated.c_str(), &prepared, "SASLprep", STRINGPREP_NO_UNASSIGNED);
  wipe(terminated);
  if (failure != STRINGPREP_OK) return password;
  Secret result{std::string(prepared)};
  wipe(prepared, std::strlen(prepared));
  std::free(prepared);
  // Only characters that map to nothing: pg_saslprep calls that prohibited, and so uses it as it stands.
  if (result.empty()) return password;
  return result;
}

}  // namespace sallyport::postgres
