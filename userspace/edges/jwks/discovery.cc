// SPDX-License-Identifier: Apache-2.0
#include "edges/jwks/discovery.h"

#include <curl/curl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sallyport/base/log.h"

namespace sallyport::edges {
namespace {

struct Closed {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Handle = std::unique_ptr<CURL, Closed>;

struct Body {
  std::string text;
  bool too_long = false;
};

size_t on_bytes(char* bytes, size_t size, size_t count, void* to) {
  auto& body = *static_cast<Body*>(to);
  if (body.text.size() + size * count > limits::kJwksBytesMax) {
    body.too_long = true;
    return 0;
  }
  body.text.append(bytes, size * count);
  return size * count;
}

int on_progress(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(stop)->load() ? 1 : 0;
}

std::string header_of(CURL* handle, const char* name) {
  curl_header* found = nullptr;
  return curl_easy_header(handle, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value : "";
}

Result<Fetched> get(const std::string& url, const IssuerSource& source, const JwksTimes& times,
                    const std::atomic<bool>& stop) {
  const Handle handle(curl_easy_init());
  if (!handle) return fail("no memory");
  Body body;
  char error[CURL_ERROR_SIZE] = {};
  const auto set = [&](CURLoption option, auto value) { (void)curl_easy_setopt(handle.get(), option, value); };
  set(CURLOPT_URL, url.c_str());
  // A redirect would lead where nobody in policy pointed to; keys over less than HTTPS would be anybody's.
  set(CURLOPT_PROTOCOLS_STR, "https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  if (!source.ca_file.empty()) {
    set(CURLOPT_CAINFO, source.ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  }
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(times.connect));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(times.answer));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, "sallyport");
  set(CURLOPT_MAXFILESIZE, static_cast<long>(limits::kJwksBytesMax));
  set(CURLOPT_WRITEFUNCTION, &on_bytes);
  set(CURLOPT_WRITEDATA, &body);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(&stop));
  set(CURLOPT_ERRORBUFFER, error);
  const CURLcode code = curl_easy_perform(handle.get());
  if (body.too_long || code == CURLE_FILESIZE_EXCEEDED)
    return fail(fmt::format("{}: an answer longer than {} bytes", url, limits::kJwksBytesMax));
  if (code != CURLE_OK) return fail(fmt::format("{}: {}", url, printable(*error ? error : curl_easy_strerror(code))));
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status >= 300 && status < 400) return fail(fmt::format("{}: a redirect, which is not followed", url));
  if (status != 200) return fail(fmt::format("{}: status {}", url, status));
  return Fetched{std::move(body.text),
                 fresh_for(header_of(handle.get(), "Cache-Control"), header_of(handle.get(), "Age"))};
}

Result<std::string> keys_url(const std::string& text, const IssuerSource& source) {
  const auto document = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return fail("the discovery document is no JSON object");
  const auto issuer = document.find("issuer");
  // Section 4.3: else one issuer could publish keys in another's name.
  if (issuer == document.end() || *issuer != source.url)
    return fail(
        fmt::format(
            "the discovery document is of issuer `{}`, not of `{}`",
            issuer != document.end() && issuer->is_string() ? printable(issuer->get_ref<const std::string&>()) : "",
            source.url),
        "write url in the Issuer as the document has it, to the last slash");
  const auto url = document.find("jwks_uri");
  if (url == document.end() || !url->is_string() || !url->get_ref<const std::string&>().starts_with("https://"))
    return fail("the discovery document names no https `jwks_uri`");
  return url->get<std::string>();
}

std::optional<int64_t> number_of(std::string_view text) {
  int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size() || value < 0) return {};
  return value;
}

}  // namespace

int64_t fresh_for(std::string_view cache_control, std::string_view age) {
  int64_t seconds = -1;
  while (!cache_control.empty()) {
    const size_t comma = std::min(cache_control.find(','), cache_control.size());
    std::string word;
    for (char c : cache_control.substr(0, comma))
      if (c != ' ' && c != '\t' && c != '"') word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    cache_control.remove_prefix(std::min(comma + 1, cache_control.size()));
    if (word == "no-store" || word == "no-cache") return 0;
    constexpr std::string_view kMaxAge = "max-age=";
    if (word.starts_with(kMaxAge)) seconds = number_of(word.substr(kMaxAge.size())).value_or(0);
  }
  return seconds < 0 ? seconds : std::max<int64_t>(0, seconds - number_of(age).value_or(0));
}

Result<Fetched> discover_keys(const IssuerSource& source, const JwksTimes& times, const std::atomic<bool>& stop) {
  std::string url = source.url;
  while (url.ends_with('/')) url.pop_back();
  auto document = get(url + "/.well-known/openid-configuration", source, times, stop);
  if (!document) return document;
  auto keys = keys_url(document->text, source);
  if (!keys) return std::unexpected(keys.error());
  return get(*keys, source, times, stop);
}

std::string fingerprint_of(const std::string& path) {
  struct stat s {};
  if (stat(path.c_str(), &s) != 0) return {};
  return fmt::format("{} {} {} {}.{} {}.{}", s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec,
                     s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
}

Result<std::string> read_key_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(limits::kJwksBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return fail(fmt::format("cannot read {}", path));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

}  // namespace sallyport::edges
