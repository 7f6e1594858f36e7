#include "cli/sampling_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>

namespace kinetok::cli {
namespace {

// "ID=VALUE".
TokenBias ParseBias(std::string_view text) {
  const size_t equals = text.find('=');
  TokenBias out;
  const char* const end = text.data() + text.size();
  const char* const middle = text.data() + std::min(equals, text.size());
  const auto id = std::from_chars(text.data(), middle, out.token);
  const bool has_id = equals != std::string_view::npos && id.ec == std::errc() && id.ptr == middle;
  const auto value = has_id ? std::from_chars(middle + 1, end, out.bias) : std::from_chars_result{end, {}};
  if (!has_id || value.ec != std::errc() || value.ptr != end || middle + 1 == end) {
    throw UsageError(fmt::format("--logit-bias: \"{}\" is not ID=VALUE, as in \"50256=-5\" or \"13=-inf\"", text));
  }
  return out;
}

}  // namespace

void DrawingFlags::Add(CLI::App* command, SamplerOptions& options) {
  const auto number = [&](const char* flag, auto& value, const char* help) {
    all_.push_back(command->add_option(flag, value, help)->capture_default_str()->group("Drawing"));
  };
  const auto yes = [&](const char* flag, bool& value, const char* help) {
    all_.push_back(command->add_flag(flag, value, help)->group("Drawing"));
  };
  SamplerOptions& s = options;
  yes("--greedy", s.greedy, "Always the likeliest token");
  number("--temperature", s.temperature, "Divides the logits; 0 is greedy");
  number("--top-k", s.top_k, "Only the k likeliest tokens; 0: all");
  yes("--top-k-ties", top_k_ties_, "Keep all tokens as likely as the k-th, as transformers does");
  number("--top-p", s.top_p, "Only the likeliest tokens that together reach this probability");
  number("--min-p", s.min_p, "Only tokens at least this times as likely as the likeliest");
  number("--typical-p", s.typical_p, "Only the most typical tokens that together reach this probability");
  number("--order", order_, "Of the filters: hf (temperature first) or llama.cpp (temperature last)");
}

bool DrawingFlags::given() const {
  return std::any_of(all_.begin(), all_.end(), [](const CLI::Option* o) { return o->count() > 0; });
}

void DrawingFlags::Read(SamplerOptions& options) const {
  options.order = ParseFilterOrder(order_);
  if (top_k_ties_) options.top_k_ties = TopKTies::kAll;
}

void SamplingFlags::Add(CLI::App* command) {
  GenerateOptions& o = options;
  SamplerOptions& s = options.sampler;
  command->add_option("--max-new-tokens", o.max_new_tokens, "Stop after so many")->capture_default_str();
  AddTexts(command, "--stop", o.stop, "End before this text; may be repeated");
  AddSeed(command, s.seed, "The same seed gives the same text");

  drawing_.Add(command, s);
  command->add_option("--best-of", o.best_of, "Draw so many texts, give the one with the highest mean log-probability")
      ->capture_default_str()
      ->group("Drawing");

  const auto process = [&](const char* flag, auto& value, const char* help) {
    command->add_option(flag, value, help)->capture_default_str()->group("Changing the logits");
  };
  AddTexts(command, "--logit-bias", logit_bias_, "ID=VALUE, added to a token's logit first; may be repeated")
      ->group("Changing the logits");
  process("--repetition-penalty", s.repetition_penalty, "Above 1: tokens of prompt and output become less likely");
  process("--presence-penalty", s.presence_penalty, "Subtracted from the logit of each token of the output");
  process("--frequency-penalty", s.frequency_penalty, "The same, for each time that it came");
  process("--no-repeat-ngram-size", s.no_repeat_ngram_size, "No n tokens in a row come twice; 0: they may");
  AddTexts(command, "--bad-words", bad_words_, "A text whose tokens must not come; may be repeated")
      ->group("Changing the logits");
  process("--min-new-tokens", s.min_new_tokens, "No end-of-text token before so many");
  allowed_option_ = command->add_option("--allowed-tokens", allowed_tokens_, "Only these ids: \"1 2 3\"");
  allowed_option_->group("Changing the logits");

  const auto beam = [&](const char* flag, auto& value, const char* help) {
    return command->add_option(flag, value, help)->capture_default_str()->group("Beam search");
  };
  beam("--num-beams", o.beams.num_beams, "Texts that are followed side by side; 1: no beam search");
  beam("--length-penalty", o.beams.length_penalty, "Scores are divided by the length to this power");
  beam("--early-stopping", early_stopping_,
       "With num-beams results: false (stop when no running text is better), true "
       "(stop), never (stop when none can become better)");
  beam("--num-return-sequences", o.num_return_sequences, "So many of the best beams or samples, with --json");
}

void SamplingFlags::Check() {
  SamplerOptions& s = options.sampler;
  for (const std::string& text : logit_bias_) s.logit_bias.push_back(ParseBias(text));
  if (allowed_option_->count() > 0) s.allowed_tokens = {ParseIds(allowed_tokens_, "--allowed-tokens")};
  CheckFlags([&] {
    drawing_.Read(s);
    options.beams.early_stopping = ParseEarlyStopping(early_stopping_);
    options.Check();
  });
}

void SamplingFlags::Bind(const Model& model) {
  for (const std::string& word : bad_words_) {
    CheckFlags([&] {
      for (auto& tokens : BadWordTokens(model, word)) options.sampler.bad_words.push_back(std::move(tokens));
    });
  }
  CheckFlags([&] { options.sampler.CheckIds(model.config().vocab_size); });
}

}  // namespace kinetok::cli
