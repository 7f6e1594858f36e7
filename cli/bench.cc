// kinetok bench: how fast a model reads a prompt, writes tokens, or trains, and how near that is to what the machine
// can do. The ceilings are sampled before and after each round, whose speed is compared with their mean; every figure
// is the median over the rounds.

#include <fmt/format.h>

#include <algorithm>

#include "cli/bench_vla.h"
#include "cli/ceilings.h"
#include "cli/cli.h"
#include "kinetok/base/memory.h"
#include "kinetok/decode/engine.h"
#include "kinetok/model/presets.h"
#include "kinetok/model/training_pass.h"
#include "kinetok/train/optimizer.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, preset, dtype = "f16";
  int64_t prompt = 256, new_tokens = 32;
  bool train = false, vla = false;
  int64_t batch_size = 4, block_size = 64, steps = 10, calls = 500;
};

// Parameters of the matrices that a token is multiplied with, in all layers and in the head.
struct MatrixParameters {
  double layers = 0, head = 0;
  explicit MatrixParameters(const ParameterList& list) {
    for (size_t i = 0; i < list.all.size(); ++i) {
      const auto index = static_cast<int>(i);
      const auto elements = static_cast<double>(list.all[i].elements());
      if (index == list.head) head = elements;
      if (list.all[i].is_matrix() && index != list.head && index != list.embedding && index != list.position) {
        layers += elements;
      }
    }
  }
};

// Multiplications and additions of causal attention over positions [0, length) in all layers.
double AttentionFlops(const ModelConfig& config, int64_t length) {
  const auto n = static_cast<double>(length);
  const auto width = static_cast<double>(config.num_attention_heads * config.head_dim);
  return static_cast<double>(config.num_hidden_layers) * 4 * width * n * (n + 1) / 2;
}

// Bytes of keys and values that one step reads with `length` positions behind it.
double KvBytes(const ModelConfig& config, int64_t length) {
  return static_cast<double>(config.num_hidden_layers * 2 * config.num_key_value_heads * config.head_dim * 4 * length);
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Round {
  double prefill_s = 0, decode_s = 0;
};

Round RunRound(Context& context, const std::shared_ptr<const Model>& model, const Flags& flags) {
  std::vector<int32_t> prompt(static_cast<size_t>(flags.prompt));
  for (size_t i = 0; i < prompt.size(); ++i) {
    prompt[i] = static_cast<int32_t>(i * 7919 % static_cast<size_t>(model->config().vocab_size));
  }
  Engine engine(context, model);
  engine.Add(prompt, {.sampler = {.greedy = true}, .max_new_tokens = flags.new_tokens + 1, .ignore_eos = true});
  const Stopwatch prefill;
  while (engine.Step().empty()) continue;
  Round round{.prefill_s = prefill.Seconds()};
  const Stopwatch decode;
  while (!engine.idle()) engine.Step();
  round.decode_s = decode.Seconds();
  return round;
}

int BenchInference(const Common& common, const Flags& flags) {
  if (flags.model.empty() && flags.preset.empty()) {
    throw UsageError(
        "no model: give one with --model DIR (models/writer and models/robot are bundled) or --preset NAME");
  }
  const auto context = common.MakeContext();
  const auto model = flags.model.empty()
                         ? Model::Random(*context, PresetFlag(flags.preset), /*seed=*/0, DTypeFlag(flags.dtype))
                         : Model::Load(*context, flags.model, common.Loading(TokenizerUse::kNone));
  const ModelConfig& config = model->config();
  if (flags.prompt + flags.new_tokens > config.max_position_embeddings) {
    Fail("-p {} and -n {} together exceed the model's context of {}", flags.prompt, flags.new_tokens,
         config.max_position_embeddings);
  }
  const MatrixParameters matrices{ParameterList(config)};
  const auto p = static_cast<double>(flags.prompt), n = static_cast<double>(flags.new_tokens);
  const double prefill_flops = 2 * matrices.layers * p + 2 * matrices.head + AttentionFlops(config, flags.prompt);
  double decode_bytes = 0;
  for (int64_t i = 0; i < flags.new_tokens; ++i) {
    decode_bytes += static_cast<double>(model->matrix_bytes_per_token()) + KvBytes(config, flags.prompt + i + 1);
  }

  Ceilings ceilings(*context);
  RunRound(*context, model, flags);  // warms pages and caches
  std::vector<double> prefill_s, decode_s, prefill_shares, decode_shares, peaks, reads;
  Ceiling before = ceilings.Sample();
  const Stopwatch clock;
  for (int round = 0; round < 5 || (round < 50 && clock.Seconds() < 3); ++round) {
    const Round r = RunRound(*context, model, flags);
    const Ceiling after = ceilings.Sample();
    peaks.push_back((before.fma_gflops + after.fma_gflops) / 2);
    reads.push_back((before.read_gb_per_s + after.read_gb_per_s) / 2);
    prefill_s.push_back(r.prefill_s);
    decode_s.push_back(r.decode_s);
    prefill_shares.push_back(prefill_flops / r.prefill_s / 1e9 / peaks.back());
    decode_shares.push_back(decode_bytes / r.decode_s / 1e9 / reads.back());
    before = after;
  }
  const double prefill = Median(prefill_s), decode = Median(decode_s);
  const double gflops = prefill_flops / prefill / 1e9, gb_per_s = decode_bytes / decode / 1e9;
  const double prefill_share = Median(prefill_shares), decode_share = Median(decode_shares);
  const double peak = Median(peaks), ceiling = Median(reads);
  if (common.json) {
    PrintJson(
        {{"prefill", {{"tokens_per_s", p / prefill}, {"gflops", gflops}, {"share_of_fma_peak", prefill_share}}},
         {"decode", {{"tokens_per_s", n / decode}, {"gb_per_s", gb_per_s}, {"share_of_read_ceiling", decode_share}}},
         {"read_ceiling_gb_per_s", ceiling},
         {"fma_peak_gflops", peak},
         {"threads", context->threads()},
         {"isa", IsaName(context->isa())},
         {"weight_bytes", model->weight_bytes()}});
    return 0;
  }
  Print(fmt::format("{} threads, {}, {:.2f} GB of weights\n", context->threads(), IsaName(context->isa()),
                    static_cast<double>(model->weight_bytes()) / 1e9));
  Print(fmt::format("prefill {:>5}  {:9.1f} tok/s  {:7.1f} GFLOP/s  {:3.0f}% of the FMA peak ({:.1f})\n", flags.prompt,
                    p / prefill, gflops, 100 * prefill_share, peak));
  Print(fmt::format("decode  {:>5}  {:9.1f} tok/s  {:7.1f} GB/s     {:3.0f}% of the read ceiling ({:.1f})\n",
                    flags.new_tokens, n / decode, gb_per_s, 100 * decode_share, ceiling));
  return 0;
}

int BenchTraining(const Common& common, const Flags& flags) {
  if (flags.preset.empty()) throw UsageError("--train needs --preset NAME");
  const ModelConfig config = PresetFlag(flags.preset);
  if (flags.block_size > config.max_position_embeddings) {
    Fail("--block-size {} exceeds the model's context of {}", flags.block_size, config.max_position_embeddings);
  }
  const ParameterList list(config);
  const int64_t rows = flags.batch_size * flags.block_size;
  TrainingPass pass(config, list,
                    {.max_rows = rows, .max_sequences = flags.batch_size, .max_length = flags.block_size});
  RequireMemory(list.elements * 16 + pass.activation_bytes(), "training " + flags.preset);
  const auto context = common.MakeContext();
  const Buffer weights(list.elements * 4), gradients(list.elements * 4);
  for (size_t i = 0; i < list.all.size(); ++i) {
    const Parameter& p = list.all[i];
    ParallelFor(*context, p.elements(), 1 << 14, [&](int64_t first, int64_t last, int) {
      InitializeParameter(
          list, static_cast<int>(i), /*seed=*/0, first,
          weights.As<float>().subspan(static_cast<size_t>(p.offset + first), static_cast<size_t>(last - first)));
    });
  }
  Optimizer optimizer(list, {});
  std::vector<int32_t> tokens(static_cast<size_t>(rows)), labels(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<int32_t>(i * 7919 % static_cast<size_t>(config.vocab_size));
    labels[i] = static_cast<int32_t>((i + 1) * 7919 % static_cast<size_t>(config.vocab_size));
  }
  const std::vector<float> row_weights(tokens.size(), 1 / static_cast<float>(rows));
  const std::vector<int32_t> lengths(static_cast<size_t>(flags.batch_size), static_cast<int32_t>(flags.block_size));
  std::vector<uint64_t> keys(lengths.size());
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = i;
  std::vector<float> losses(tokens.size());
  const TrainingBatch batch{tokens, labels, row_weights, lengths, keys};

  // Backward does twice the forward pass's work.
  const MatrixParameters matrices(list);
  const double flops = 3 * (2 * (matrices.layers + matrices.head) * static_cast<double>(rows) +
                            static_cast<double>(flags.batch_size) * AttentionFlops(config, flags.block_size));

  Ceilings ceilings(*context);
  std::vector<double> seconds, shares, peaks;
  Ceiling before;
  for (int64_t step = 0; step <= flags.steps; ++step) {  // the first one warms up
    const Stopwatch clock;
    ParallelFor(*context, list.elements, 1 << 16, [&](int64_t first, int64_t last, int) {
      std::fill(gradients.As<float>().data() + first, gradients.As<float>().data() + last, 0.0f);
    });
    pass.ForwardBackward(*context, weights.As<float>(), batch, static_cast<uint64_t>(step), losses,
                         gradients.As<float>());
    pass.Finish(*context, gradients.As<float>());
    const double norm = Optimizer::GradientNorm(*context, gradients.As<float>());
    optimizer.Step(*context, step + 1, 1e-4, norm, gradients.As<float>(), weights.As<float>());
    const double taken = clock.Seconds();
    const Ceiling after = ceilings.Sample();
    if (step > 0) {
      seconds.push_back(taken);
      peaks.push_back((before.fma_gflops + after.fma_gflops) / 2);
      shares.push_back(flops / taken / 1e9 / peaks.back());
    }
    before = after;
  }
  const double median = Median(seconds), gflops = flops / median / 1e9, share = Median(shares), peak = Median(peaks);
  const double tokens_per_s = static_cast<double>(rows) / median, rss = static_cast<double>(PeakRssBytes()) / 1e9;
  if (common.json) {
    PrintJson({{"step_ms", median * 1e3},
               {"tokens_per_s", tokens_per_s},
               {"peak_rss_gb", rss},
               {"share_of_fma_peak", share},
               {"gflops", gflops},
               {"fma_peak_gflops", peak},
               {"threads", context->threads()},
               {"isa", IsaName(context->isa())}});
    return 0;
  }
  Print(fmt::format("{}: {} x {} tokens, {} threads, {}\n", flags.preset, flags.batch_size, flags.block_size,
                    context->threads(), IsaName(context->isa())));
  Print(fmt::format("step {:.1f} ms  {:.1f} tok/s  {:.1f} GFLOP/s  {:.0f}% of the FMA peak ({:.1f})  {:.2f} GB\n",
                    median * 1e3, tokens_per_s, gflops, 100 * share, peak, rss));
  return 0;
}

}  // namespace

void AddBench(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, common,
                                 {"bench", "Measure speed beside what the machine can do",
                                  "kinetok bench --preset gpt2-124m --dtype f16 -p 256 -n 32"},
                                 [flags, &common] {
                                   if (flags->vla) return BenchVla(common, flags->model, flags->calls);
                                   return flags->train ? BenchTraining(common, *flags) : BenchInference(common, *flags);
                                 });
  const CLI::Range positive(int64_t{1}, int64_t{1} << 30);
  CLI::Option* model = command->add_option("--model", flags->model, "A model's directory");
  AddAdapter(command, common);
  CLI::Option* preset =
      command->add_option("--preset", flags->preset, fmt::format("Random weights: {}", fmt::join(PresetNames(), ", ")))
          ->excludes(model);
  command->add_option("--dtype", flags->dtype, "Of the preset's weights: f32, f16 or bf16")->capture_default_str();
  command->add_option("-p", flags->prompt, "Tokens of the prompt")->capture_default_str()->check(positive);
  command->add_option("-n", flags->new_tokens, "Tokens written after it")->capture_default_str()->check(positive);
  CLI::Option* train = command->add_flag("--train", flags->train, "Training steps of a preset, f32")->excludes(model);
  command->add_option("--batch-size", flags->batch_size, "Sequences of a training step")
      ->capture_default_str()
      ->check(positive);
  command->add_option("--block-size", flags->block_size, "Tokens of a sequence")
      ->capture_default_str()
      ->check(positive);
  command->add_option("--steps", flags->steps, "Steps; step_ms is their median")
      ->capture_default_str()
      ->check(positive);
  command->add_flag("--vla", flags->vla, "How long a policy (--model) takes for an action")
      ->excludes(preset)
      ->excludes(train);
  command->add_option("--calls", flags->calls, "Actions of --vla")->capture_default_str()->check(positive);
}

}  // namespace kinetok::cli
