// SPDX-License-Identifier: Apache-2.0
// PostgreSQL messages as one line of text, so that a test reads like a transcript:
//   from the agent:   Q(select 1)  P(s|select 1) B(p<-s) D(Pp) E(p) C(Ss) S H X F(870) d(…) c f p
//   from the server:  T(id,email) D(1|NULL) C(SELECT 1) Z(I) E(42501) N(00000) 1 2 3 n s I t R(0) S(name=value)
// Sallyport's own: P(look-up) B(look-up) E(look-up) C(look-up), and E(refused) for the portal that does not exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sallyport/protocol/postgres/frame.h"

namespace sallyport::flow::test {

/// Whole messages at the front of `bytes`; what is left of it is an incomplete one.
std::vector<postgres::Frame> take_frames(std::string_view& bytes);

/// Typed messages, blank between them. Whatever does not parse reads as "?".
std::string agent_text(std::string_view bytes);
std::string server_text(std::string_view bytes);

/// One field of the last ErrorResponse or NoticeResponse in `bytes`; empty: there is none.
std::string report_field(std::string_view bytes, char code);

}  // namespace sallyport::flow::test
