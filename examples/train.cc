// Trains a small character model on a text, or goes on where it stopped:   example_train text.txt out
#include <iostream>

#include "kinetok/kinetok.h"

struct Printer : kinetok::TrainingObserver {
  void OnStep(const kinetok::StepEvent& e) override { std::cout << "step " << e.step << "  loss " << e.loss << "\n"; }
};

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " TEXT_FILE OUT_DIR\n";
    return 2;
  }
  kinetok::CharTrainer characters;
  kinetok::ForEachDocument({argv[1]}, kinetok::DocumentSeparator::kNone, [&](auto text) { characters.Add(text); });
  kinetok::TrainingJob job;
  job.model = kinetok::Preset("tiny");
  job.tokenizer = characters.Train();
  job.model.vocab_size = job.tokenizer->vocab_size();
  job.train.max_steps = 100;
  kinetok::Context context;
  kinetok::RunDirectory directory(argv[2], /*restart=*/false);
  const auto file = kinetok::TokeniseFiles({argv[1]}, *job.tokenizer, {}, directory.path() / "tokens.bin");
  job.data = {std::make_shared<kinetok::TextExamples>(kinetok::SplitTokens(file, 0.1), job.train.block_size)};
  Printer printer;
  const auto result = kinetok::Trainer(context, directory, job).Run(printer);
  std::cout << "validation loss " << result.evaluation.value().loss << "\n";
} catch (const kinetok::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
