// Streams a continuation of a prompt:   example_generate models/writer "ROMEO:"
#include <iostream>

#include "kinetok/kinetok.h"

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " MODEL_DIR PROMPT\n";
    return 2;
  }
  kinetok::Context context;
  const auto model = kinetok::Model::Load(context, argv[1]);
  kinetok::GenerateOptions options;
  options.sampler = {.temperature = 0.8, .top_p = 0.95, .seed = 7};
  kinetok::Generate(context, model, argv[2], options, [](const kinetok::Token& token) {
    std::cout << token.text << std::flush;
    return kinetok::Flow::kContinue;
  });
  std::cout << "\n";
} catch (const kinetok::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
