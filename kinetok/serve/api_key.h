// The key that a server's clients must know.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace kinetok {

class ApiKey {
 public:
  // Throws Error unless `key` is 8 to 1024 visible ASCII characters.
  explicit ApiKey(std::string_view key);

  // Whether an Authorization header is "Bearer KEY"; the scheme's case does not matter (RFC 9110, 11.1), the key's
  // does. Takes the same time for every wrong key.
  bool Opens(std::string_view authorization) const;

 private:
  std::string digest_;
};

// The file's text without the white space around it. Throws Error naming the file.
ApiKey ReadApiKey(const std::filesystem::path& path);

}  // namespace kinetok
