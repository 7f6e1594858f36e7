#include "kinetok/serve/api_key.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/sha256.h"

namespace kinetok {
namespace {

std::string Digest(std::string_view text) {
  Sha256 sha;
  sha.Update(std::as_bytes(std::span(text)));
  return sha.Hex();
}

}  // namespace

ApiKey::ApiKey(std::string_view key) {
  const auto usable = [](char c) { return c > ' ' && c < '\x7f'; };
  if (key.size() < 8 || key.size() > 1024 || !std::ranges::all_of(key, usable)) {
    Fail("the key has {} bytes, expected 8 to 1024 visible ASCII characters", key.size());
  }
  digest_ = Digest(key);
}

bool ApiKey::Opens(std::string_view authorization) const {
  constexpr std::string_view kScheme = "bearer ";
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  if (!std::ranges::equal(authorization.substr(0, kScheme.size()), kScheme, {}, lower)) return false;
  const std::string digest = Digest(authorization.substr(kScheme.size()));
  return CRYPTO_memcmp(digest.data(), digest_.data(), digest_.size()) == 0;
}

ApiKey ReadApiKey(const std::filesystem::path& path) {
  constexpr std::string_view kSpace = " \t\r\n";
  std::string text = ReadFile(path);
  text.erase(text.find_last_not_of(kSpace) + 1);
  text.erase(0, text.find_first_not_of(kSpace));
  try {
    return ApiKey(text);
  } catch (const Error& e) {
    Fail("{}: {}", path.string(), e.what());
  }
}

}  // namespace kinetok
