// What a vision tower's rows are: patches of images behind prefix tokens. Internal to model/.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kinetok/model/kv_cache.h"
#include "kinetok/model/steps.h"

namespace kinetok {

// Rows of one image in a tower.
int64_t TowerLength(const ModelConfig& tower);

// Numbers of one image in `pixels`: three channels a tower, of that tower's size.
int64_t ImageFloats(const ModelConfig& config);
int64_t ImagesIn(const ModelConfig& config, std::span<const float> pixels);

// How many rows of each RowKind a pass over so many decoder rows and images has.
std::vector<int64_t> RowCounts(const ModelConfig& config, int64_t rows, int64_t images);

// The patches of images, row by row from the top left, each as [channel][y][x]: what a convolution of the patch's size
// and stride multiplies.   pixels [images][ImageFloats]   patches [images * Patches(), PatchWidth()]
void CutPatches(const ModelConfig& config, int tower, std::span<const float> pixels, Rows<float> patches);

// The rows of some images in a tower: what its kEmbed and attention steps go by.
struct TowerRows {
  std::vector<int32_t> tokens, positions;
  std::vector<const float*> embeddings;
  std::vector<AttentionRow> attention;

  // `patches` [images * Patches(), hidden_size]: the buffer of the embedded patches.
  void List(const ModelConfig& tower, int64_t images, Rows<const float> patches);
  StackRows Stack(const ModelConfig& tower) const { return {&tower, tokens, positions, embeddings}; }
};

// The stack (Step::stack) of a layer of the program.
int StackOfLayer(const ModelConfig& config, int64_t layer);

// The buffer of tower `tower`'s embedded patches.
int EmbeddedPatches(const Program& program, int tower);

}  // namespace kinetok
