// safetensors files (https://github.com/huggingface/safetensors): read through a mapping after every length, offset and
// shape of the header was checked against the file; written as a stream that takes its name only when it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/io/tensor_file.h"
#include "kinetok/io/tensor_writer.h"

namespace kinetok {

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // by offset: they follow each other without holes up to the end of the file
  std::map<std::string, std::string> metadata;
  int64_t data_offset = 0;
};

// Checks a file of `file_size` bytes of which `start` holds at least the header. Throws Error naming `source`, the
// tensor and the value for everything that the format forbids; names and fields that appear twice are forbidden too.
SafetensorsHeader ParseSafetensorsHeader(std::span<const std::byte> start, uint64_t file_size, std::string_view source);

class SafetensorsFile : public TensorFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);  // Throws Error as above
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::map<std::string, std::string> metadata_;
};

// Writes one file: the tensors in the declared order, except that wider types come first so that all data is aligned.
class SafetensorsWriter : public TensorWriter {
 public:
  SafetensorsWriter(std::filesystem::path path, std::vector<TensorSpec> tensors,
                    std::map<std::string, std::string> metadata = {{"format", "pt"}});
};

}  // namespace kinetok
