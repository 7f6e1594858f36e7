// SHA-256 (FIPS 180-4) through OpenSSL's libcrypto, for fingerprints.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace kinetok {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void Update(std::span<const std::byte> bytes);
  std::string Hex();  // finishes; 64 lower-case digits

 private:
  void* context_;
};

}  // namespace kinetok
