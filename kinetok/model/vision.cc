#include "kinetok/model/vision.h"

#include <algorithm>

#include "kinetok/base/error.h"

namespace kinetok {

int64_t TowerLength(const ModelConfig& tower) {
  return tower.patches->PrefixTokens() + tower.patches->Patches();
}

namespace {

int64_t TowerFloats(const ModelConfig& tower) {
  return 3 * tower.patches->image_size * tower.patches->image_size;
}

}  // namespace

int64_t ImageFloats(const ModelConfig& config) {
  int64_t floats = 0;
  for (const ModelConfig& t : config.towers) floats += TowerFloats(t);
  return floats;
}

int64_t ImagesIn(const ModelConfig& config, std::span<const float> pixels) {
  if (pixels.empty()) return 0;
  const int64_t floats = ImageFloats(config), count = static_cast<int64_t>(pixels.size());
  KINETOK_CHECK(floats > 0 && count % floats == 0);
  return count / floats;
}

std::vector<int64_t> RowCounts(const ModelConfig& config, int64_t rows, int64_t images) {
  std::vector<int64_t> counts = {rows, images * config.ImagePatches()};
  for (const ModelConfig& t : config.towers) counts.push_back(images * TowerLength(t));
  return counts;
}

void CutPatches(const ModelConfig& config, int tower, std::span<const float> pixels, Rows<float> patches) {
  const PatchInput& input = *config.towers[tower].patches;
  int64_t before = 0;  // the channels of the towers before it
  for (int t = 0; t < tower; ++t) before += TowerFloats(config.towers[t]);
  const int64_t side = input.image_size, size = input.patch_size, across = side / size;
  for (int64_t row = 0; row < patches.rows; ++row) {
    const int64_t image = row / input.Patches(), y = row % input.Patches() / across * size, x = row % across * size;
    const float* in = pixels.data() + image * ImageFloats(config) + before;
    float* out = patches[row];
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t dy = 0; dy < size; ++dy) out = std::copy_n(in + (c * side + y + dy) * side + x, size, out);
    }
  }
}

void TowerRows::List(const ModelConfig& tower, int64_t images, Rows<const float> patches) {
  const PatchInput& input = *tower.patches;
  const auto prefix = static_cast<int32_t>(input.PrefixTokens()), length = static_cast<int32_t>(TowerLength(tower));
  tokens.clear();
  positions.clear();
  embeddings.clear();
  attention.clear();
  for (int32_t image = 0; image < images; ++image) {
    for (int32_t i = 0; i < length; ++i) {
      const bool before = i < prefix;
      tokens.push_back(before ? i : -1);
      positions.push_back(input.position_covers_prefix ? i : (before ? -1 : i - prefix));
      embeddings.push_back(before ? nullptr : patches[image * input.Patches() + i - prefix]);
      attention.push_back(VisibleRow(Mask::Full(), image, i, length));
    }
  }
}

int StackOfLayer(const ModelConfig& config, int64_t layer) {
  int stack = 0;
  int64_t end = config.num_hidden_layers;
  while (layer >= end) end += config.towers[stack++].num_hidden_layers;
  return stack;
}

int EmbeddedPatches(const Program& program, int tower) {
  const auto it = std::find_if(program.steps.begin(), program.steps.end(),
                               [&](const Step& s) { return s.op == Op::kEmbed && s.stack == 1 + tower; });
  KINETOK_CHECK(it != program.steps.end());
  return it->in;
}

}  // namespace kinetok
