// Keys and values of past positions, in fixed pages of kKeyBlock positions with a page table a sequence.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kinetok/kernels/attention.h"
#include "kinetok/model/config.h"
#include "kinetok/tensor/buffer.h"

namespace kinetok {

class KvCache {
 public:
  // `max_pages` pages at most, taken from the system as they are needed; 0: no limit.
  explicit KvCache(const ModelConfig& config, int64_t max_pages = 0);

  int NewSequence();
  void Remove(int sequence);
  int64_t length(int sequence) const;  // positions that exist
  // Makes room for positions up to `length`; throws Error when pages run out.
  void Extend(int sequence, int64_t length);
  void Truncate(int sequence, int64_t length);  // forgets later positions
  // A second sequence with the same past: full pages are shared, the last one is copied.
  int Fork(int sequence);

  // Pointers for one layer: [sequences of `ids`][blocks], valid until the next change.
  class LayerView {
   public:
    KvPages pages() const { return pages_; }

   private:
    friend class KvCache;
    std::vector<float*> pointers_;
    std::vector<float* const*> tables_;
    KvPages pages_;
  };
  void View(std::span<const int> ids, int64_t layer, LayerView* view) const;

  int64_t pages_in_use() const;
  int64_t page_bytes() const { return page_floats_ * layers_ * 4; }

 private:
  struct Sequence {
    bool used = false;
    int64_t length = 0;
    std::vector<int> pages;
  };
  int TakePage();
  void ReleasePage(int page);

  int64_t layers_, kv_heads_, head_dim_, page_floats_, max_pages_;
  std::vector<Buffer> pages_;    // each holds all layers of one page
  std::vector<int> references_;  // how many sequences hold a page
  std::vector<int> free_;
  std::vector<Sequence> sequences_;
};

}  // namespace kinetok
