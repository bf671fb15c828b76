// SPDX-License-Identifier: Apache-2.0
// The text judged is the text the server lexes. A client encoding in which a byte of a character can
// look like ASCII hides code from a lexer that takes it for UTF-8 (SJIS, BIG5, GBK …), so text is
// brought to UTF-8 first, or not understood at all.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sallyport::flow {

/// `encoding` is PostgreSQL's name as in ParameterStatus client_encoding ("UTF8", "SJIS", "LATIN1").
/// nullopt: the encoding is not known here, or the bytes are not of it.
std::optional<std::string> to_utf8(std::string_view text, std::string_view encoding);

/// True when ASCII bytes mean ASCII and everything else is one UTF-8 character: no conversion needed.
bool is_utf8_encoding(std::string_view encoding);

/// May a byte of a character look like ASCII? (PostgreSQL: PG_ENCODING_IS_CLIENT_ONLY.)
bool embeds_ascii(std::string_view encoding);

bool is_valid_utf8(std::string_view text);

}  // namespace sallyport::flow
