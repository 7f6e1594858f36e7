#include "kinetok/model/kv_cache.h"

#include <algorithm>
#include <cstring>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"

namespace kinetok {

KvCache::KvCache(const ModelConfig& config, int64_t max_pages)
    : layers_(config.num_hidden_layers),
      kv_heads_(config.num_key_value_heads),
      head_dim_(config.head_dim),
      page_floats_(KvPageFloats(config.num_key_value_heads, config.head_dim)),
      max_pages_(max_pages) {}

int KvCache::NewSequence() {
  for (size_t i = 0; i < sequences_.size(); ++i) {
    if (sequences_[i].used) continue;
    sequences_[i].used = true;
    return static_cast<int>(i);
  }
  sequences_.push_back({true, 0, {}});
  return static_cast<int>(sequences_.size()) - 1;
}

int KvCache::TakePage() {
  if (free_.empty()) {
    const auto count = static_cast<int64_t>(pages_.size());
    if (max_pages_ > 0 && count >= max_pages_) {
      Fail("the key-value cache is full: all {} pages of {} positions are in use", max_pages_, kKeyBlock);
    }
    pages_.emplace_back(page_floats_ * layers_ * 4);
    references_.push_back(0);
    free_.push_back(static_cast<int>(count));
  }
  const int page = free_.back();
  free_.pop_back();
  references_[page] = 1;
  return page;
}

void KvCache::ReleasePage(int page) {
  if (--references_[page] == 0) free_.push_back(page);
}

void KvCache::Remove(int sequence) {
  KINETOK_CHECK(sequences_[sequence].used);
  Truncate(sequence, 0);
  sequences_[sequence].used = false;
}

int64_t KvCache::length(int sequence) const {
  return sequences_[sequence].length;
}

void KvCache::Extend(int sequence, int64_t length) {
  Sequence& s = sequences_[sequence];
  KINETOK_CHECK(s.used && length >= s.length);
  // A page that another sequence shares is copied before its free positions are written.
  const int64_t shared = s.length / kKeyBlock;
  if (length > s.length && s.length % kKeyBlock != 0 && references_[s.pages[shared]] > 1) {
    const int page = TakePage();
    std::memcpy(pages_[page].data(), pages_[s.pages[shared]].data(), pages_[page].bytes());
    ReleasePage(s.pages[shared]);
    s.pages[shared] = page;
  }
  const auto needed = static_cast<size_t>(CeilDiv(length, kKeyBlock));
  const size_t had = s.pages.size();
  try {
    while (s.pages.size() < needed) s.pages.push_back(TakePage());
  } catch (...) {
    for (; s.pages.size() > had; s.pages.pop_back()) ReleasePage(s.pages.back());
    throw;
  }
  s.length = length;
}

void KvCache::Truncate(int sequence, int64_t length) {
  Sequence& s = sequences_[sequence];
  KINETOK_CHECK(s.used && length <= s.length);
  const auto needed = static_cast<size_t>(CeilDiv(length, kKeyBlock));
  for (; s.pages.size() > needed; s.pages.pop_back()) ReleasePage(s.pages.back());
  s.length = length;
}

int KvCache::Fork(int sequence) {
  const int copy = NewSequence();
  const Sequence& from = sequences_[sequence];
  sequences_[copy].length = from.length;
  sequences_[copy].pages = from.pages;
  for (const int page : from.pages) ++references_[page];
  return copy;
}

void KvCache::View(std::span<const int> ids, int64_t layer, LayerView* view) const {
  view->pointers_.clear();
  view->tables_.clear();
  std::vector<size_t> first;
  for (const int id : ids) {
    first.push_back(view->pointers_.size());
    for (const int page : sequences_[id].pages) {
      view->pointers_.push_back(pages_[page].As<float>().data() + layer * page_floats_);
    }
  }
  for (const size_t f : first) view->tables_.push_back(view->pointers_.data() + f);
  view->pages_ = {view->tables_, kv_heads_, head_dim_};
}

int64_t KvCache::pages_in_use() const {
  return static_cast<int64_t>(pages_.size() - free_.size());
}

}  // namespace kinetok
