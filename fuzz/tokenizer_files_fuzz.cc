// Any bytes after the first are a vocab.txt or a merges.txt beside a small vocab.json, as the first byte says, or an
// Error.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "fuzz/tokenizer_checks.h"
#include "kinetok/base/error.h"
#include "kinetok/text/tokenizer.h"

namespace {

namespace fs = std::filesystem;

void Write(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const fs::path folder = [] {
    fs::path made = fs::temp_directory_path() / ("kinetok_fuzz_" + std::to_string(getpid()));
    for (const char* kind : {"bert", "gpt1", "gpt2"}) fs::create_directories(made / kind);
    Write(made / "gpt1" / "vocab.json",
          R"({"<unk>":0,"a":1,"b":2,"a</w>":3,"b</w>":4,"ab":5,"ab</w>":6,"c</w>":7,"abc</w>":8})");
    Write(made / "gpt2" / "vocab.json", R"({"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"Ġa":5,"abc":6,"Ġab":7,"<|endoftext|>":8})");
    return made;
  }();
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const char* const kind = data[0] % 3 == 0 ? "bert" : data[0] % 3 == 1 ? "gpt1" : "gpt2";
  Write(folder / kind / (data[0] % 3 == 0 ? "vocab.txt" : "merges.txt"), bytes);
  try {
    const auto tokenizer = kinetok::Tokenizer::Load(folder / kind);
    kinetok::fuzz::CheckTokenizer(*tokenizer, bytes, true);
  } catch (const kinetok::Error&) {
  }
  return 0;
}
