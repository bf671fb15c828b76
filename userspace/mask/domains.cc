// SPDX-License-Identifier: Apache-2.0
// Last labels of domains: countries (ISO 3166-1, as delegated) and the generic ones that people meet.
#include "mask/domains.h"

#include <algorithm>

namespace sallyport::mask {
namespace {

// Both sorted.
constexpr std::string_view kKnown[] = {
    "ac", "academy", "ad", "ae", "aero", "af", "africa", "ag", "agency", "ai", "al", "amsterdam", "ao", "apartments",
    "app", "aq", "ar", "art", "asia", "at", "attorney", "au", "audio", "auto", "aw", "ax", "az", "ba", "baby",
    "bank", "bar", "bb", "bd", "be", "beauty", "beer", "berlin", "bet", "bf", "bg", "bh", "bi", "bike", "bingo",
    "biz", "bj", "blog", "bm", "bn", "bo", "br", "bs", "bt", "bw", "by", "ca", "cafe", "capital", "care", "cars",
    "cash", "casino", "cat", "cd", "center", "cf", "cg", "ch", "chat", "ci", "ck", "cl", "clinic", "cloud", "club",
    "cm", "cn", "co", "coffee", "college", "com", "community", "company", "computer", "consulting", "coop", "cr",
    "credit", "cruises", "cu", "cv", "cw", "cx", "cy", "cz", "dating", "de", "dental", "design", "dev", "digital",
    "dj", "dk", "dm", "doctor", "dog", "dz", "earth", "ec", "eco", "edu", "ee", "eg", "email", "energy",
    "engineering", "er", "es", "estate", "et", "eu", "eus", "expert", "family", "farm", "fashion", "fi", "film",
    "finance", "financial", "fitness", "fj", "fk", "flights", "fm", "fo", "football", "fr", "fund", "ga", "gal",
    "gallery", "game", "games", "garden", "gb", "gd", "ge", "gf", "gg", "gh", "gi", "gift", "gifts", "gl", "global",
    "gm", "gn", "golf", "gov", "gp", "gq", "gr", "green", "group", "gs", "gt", "gu", "guide", "guru", "gw", "gy",
    "health", "hk", "hm", "hn", "holiday", "home", "homes", "horse", "hospital", "host", "hosting", "hotel", "house",
    "hr", "ht", "hu", "id", "ie", "il", "im", "in", "info", "insurance", "int", "international", "io", "iq", "ir",
    "istanbul", "it", "je", "jewelry", "jm", "jo", "jobs", "jp", "ke", "kg", "kh", "ki", "kids", "kitchen", "km",
    "kn", "kp", "kr", "kw", "ky", "kz", "land", "lat", "law", "lawyer", "lb", "lc", "legal", "li", "life", "live",
    "lk", "loans", "london", "love", "lr", "ls", "lt", "lu", "lv", "ly", "ma", "marketing", "mc", "media", "mg",
    "mh", "mil", "mn", "mo", "mobi", "money", "moscow", "mp", "mq", "mr", "mt", "mu", "museum", "music", "mv", "mw",
    "mx", "mz", "na", "name", "nc", "ne", "net", "network", "news", "nf", "ng", "ni", "ninja", "nl", "no", "np",
    "nr", "nu", "nyc", "nz", "om", "one", "online", "org", "pa", "page", "paris", "parts", "pe", "pet", "pf", "pg",
    "ph", "pharmacy", "photography", "photos", "pictures", "pizza", "pk", "pl", "pn", "poker", "post", "pr", "pro",
    "properties", "property", "pt", "pub", "pw", "qa", "recipes", "rent", "repair", "restaurant", "ro", "rocks",
    "ru", "rw", "sa", "sb", "school", "science", "scot", "sd", "se", "services", "sg", "shoes", "shop", "si", "site",
    "sj", "sk", "sl", "sm", "sn", "social", "software", "solar", "solutions", "space", "store", "studio", "style",
    "support", "sv", "sx", "sy", "systems", "sz", "tax", "taxi", "tc", "td", "team", "tech", "technology", "tel",
    "tf", "tg", "th", "tips", "tj", "tk", "tl", "tm", "tn", "today", "tokyo", "tools", "top", "tours", "toys", "tr",
    "travel", "tt", "tv", "tw", "tz", "ua", "ug", "uk", "university", "us", "uy", "uz", "va", "vc", "ve", "ventures",
    "vg", "vi", "video", "villas", "vn", "vu", "wales", "watch", "web", "website", "wedding", "wf", "wien", "wiki",
    "wine", "work", "works", "world", "ws", "xxx", "xyz", "ye", "yoga", "yt", "za", "zm", "zone", "zw"};

constexpr std::string_view kAmbiguous[] = {
    "am", "as", "bz", "cc", "do", "is", "la", "md", "me", "mk", "ml", "mm", "ms", "my", "pm", "ps", "py", "re", "rs",
    "sc", "sh", "so", "sr", "ss", "st", "su", "to"};

}  // namespace

TopLevel top_level(std::string_view label) {
  if (label.starts_with("xn--") && label.size() > 4) return TopLevel::known;
  if (std::ranges::binary_search(kKnown, label)) return TopLevel::known;
  return std::ranges::binary_search(kAmbiguous, label) ? TopLevel::ambiguous : TopLevel::none;
}

}  // namespace sallyport::mask
