// A training run small enough for tests: a two-layer model with dropout on characters of a short text.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/train/text_examples.h"
#include "kinetok/train/train_test_files.h"
#include "kinetok/train/trainer.h"

namespace kinetok {

class TinyRun {
 public:
  explicit TinyRun(const TemporaryFolder& folder) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "the cat sat on mat " + std::to_string(i * i % 97) + ".\n";
    CharTrainer trainer;
    trainer.Add(text);
    job_.tokenizer = trainer.Train();
    const std::filesystem::path file = folder.Write("text.txt", text);
    split_ = SplitTokens(TokeniseFiles({file}, *job_.tokenizer, {}, folder / "text.tokens"), 0.1);

    ModelConfig& m = job_.model;
    m.vocab_size = job_.tokenizer->vocab_size();
    m.hidden_size = 32;
    m.num_hidden_layers = 2;
    m.num_attention_heads = m.num_key_value_heads = 2;
    m.head_dim = 16;
    m.intermediate_size = 64;
    m.max_position_embeddings = 24;
    m.embd_pdrop = m.attn_pdrop = m.resid_pdrop = 0.1;

    TrainConfig& t = job_.train;
    t.batch_size = 4;
    t.block_size = 20;
    t.max_steps = 12;
    t.warmup_steps = 2;
    t.learning_rate = 1e-2;
    t.min_learning_rate = 1e-3;
    t.save_every = 3;
    t.eval_every = 4;
    t.log_every = 1;
    t.seed = 11;
  }

  TrainingJob& job() { return job_; }
  DataSplit& split() { return split_; }
  TrainConfig& train() { return job_.train; }

  // With the text of `split`.
  TrainingJob Job() const {
    TrainingJob job = job_;
    job.data = {std::make_shared<TextExamples>(split_, job.train.block_size)};
    return job;
  }
  // Trains, or resumes, in `dir`.
  TrainingResult Run(const std::filesystem::path& dir, int threads = 1, TrainingObserver* observer = nullptr,
                     const std::atomic<bool>* stop = nullptr, bool restart = false) const {
    Context context(threads, BestIsa());
    RunDirectory directory(dir, restart);
    Trainer trainer(context, directory, Job());
    TrainingObserver silent;
    return trainer.Run(observer != nullptr ? *observer : silent, stop);
  }

 private:
  TrainingJob job_;
  DataSplit split_;
};

// Stops the run after a step.
class StopAfter : public TrainingObserver {
 public:
  explicit StopAfter(int64_t step) : step_(step) {}
  void OnStep(const StepEvent& event) override { stop = event.step == step_; }
  std::atomic<bool> stop = false;

 private:
  int64_t step_;
};

inline std::string Weights(const std::filesystem::path& dir) {
  return ReadFile(dir / "model.safetensors");
}
inline std::string State(const std::filesystem::path& dir) {
  return ReadFile(dir / "trainer_state.safetensors");
}

// The log without what depends on the clock.
inline std::vector<std::string> LogLines(const std::filesystem::path& dir) {
  std::vector<std::string> lines;
  const std::string text = ReadFile(dir / "log.jsonl");
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    Json json = ParseJson(std::string_view(text).substr(at, end - at), "log.jsonl");
    json.erase("tokens_per_s");
    lines.push_back(json.dump());
    at = end + 1;
  }
  return lines;
}

}  // namespace kinetok
