// kinetok act: what a robot is to do next, from a camera's image and an instruction.

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>
#include <utility>

#include "cli/cli.h"
#include "cli/image_flags.h"
#include "cli/sampling_flags.h"
#include "cli/table.h"
#include "kinetok/io/npy.h"
#include "kinetok/vla/policy.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, instruction, batch_file, dump;
  std::vector<std::string> images;
  ActOptions options;
  DrawingFlags drawing;
  ImageLimits limits;
};

OrderedJson ToJson(const Action& a) {
  OrderedJson alternatives = OrderedJson::array();
  for (const auto& likeliest : a.alternatives) {
    OrderedJson& dimension = alternatives.emplace_back(OrderedJson::array());
    for (const BinProbability& b : likeliest) {
      dimension.push_back({{"token", b.token}, {"bin", b.bin}, {"probability", b.probability}});
    }
  }
  return {{"tokens", a.tokens},
          {"bins", a.bins},
          {"normalized", a.normalized},
          {"action", a.values},
          {"unnorm_key", a.unnorm_key},
          {"names", a.names},
          {"units", a.units},
          {"probabilities", a.probabilities},
          {"entropies", a.entropies},
          {"alternatives", alternatives},
          {"timings",
           {{"image_s", a.timings.image_s},
            {"vision_s", a.timings.vision_s},
            {"prefill_s", a.timings.prefill_s},
            {"decode_s", a.timings.decode_s}}}};
}

std::string ToTable(const Action& a) {
  Table table({"", "action", "unit", "normalized", "token", "bin", "probability", "entropy"});
  for (size_t i = 0; i < a.values.size(); ++i) {
    table.Add({a.names[i], fmt::format("{:+.5f}", a.values[i]), a.units[i], fmt::format("{:+.4f}", a.normalized[i]),
               fmt::format("{}", a.tokens[i]), fmt::format("{}", a.bins[i]), fmt::format("{:.3f}", a.probabilities[i]),
               fmt::format("{:.3f}", a.entropies[i])});
  }
  return table.Text();
}

void NoteTimings(const ActionTimings& t) {
  Note(fmt::format("image {:.1f} ms, vision {:.1f} ms, prefill {:.1f} ms, decode {:.1f} ms: {:.1f} actions/s\n",
                   t.image_s * 1e3, t.vision_s * 1e3, t.prefill_s * 1e3, t.decode_s * 1e3, 1 / t.total_s()));
}

void WriteTrace(const Policy& policy, const ActionTrace& trace, const std::filesystem::path& dir) {
  std::filesystem::create_directories(dir);
  const ModelConfig& config = policy.model().config();
  const int64_t side = config.towers[0].patches->image_size;
  const std::array<int64_t, 3> pixels = {3 * static_cast<int64_t>(config.towers.size()), side, side};
  const std::array<int64_t, 2> patches = {config.ImagePatches(), config.hidden_size};
  const std::array<int64_t, 1> logits = {config.vocab_size};
  WriteNpy(dir / "pixel_values.npy", pixels, trace.pixel_values);
  WriteNpy(dir / "patch_features.npy", patches, trace.patch_features);
  WriteNpy(dir / "logits.npy", logits, trace.logits);
}

struct Seen {
  Image image;
  double seconds = 0;  // of decoding
};

Seen Look(const std::string& file, const Flags& flags) {
  const Stopwatch watch;
  Image image = ReadImage(file, {.limits = flags.limits});
  return {std::move(image), watch.Seconds()};
}

Action ActOn(Policy& policy, const Seen& seen, std::string_view instruction, const ActOptions& options) {
  Action action = policy.Act(seen.image.view(), instruction, options);
  action.timings.image_s += seen.seconds;
  return action;
}

void OpenBatch(const std::string& name, std::ifstream& file) {
  std::error_code unknown;
  if (std::filesystem::is_directory(name, unknown)) Fail("{}: is a folder, expected a file of JSON lines", name);
  file.open(name, std::ios::binary);
  if (!file) Fail("{}: cannot be opened", name);
}

// One answer a line, as the lines come: the caller may wait for each. A line that cannot be answered gets its reason.
int RunBatch(Policy& policy, const Flags& flags, std::istream& in) {
  const std::string name = flags.batch_file == "-" ? "stdin" : flags.batch_file;
  int status = 0;
  int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string source = fmt::format("{}: line {}", name, number);
    try {
      const Json json = ParseJson(line, source);
      const JsonObject request(json, source);
      request.AllowKeys({"image", "instruction", "unnorm_key", "seed"});
      ActOptions options = flags.options;
      options.unnorm_key = request.String("unnorm_key", options.unnorm_key);
      if (request.Has("seed")) {
        options.sampler.seed = static_cast<uint64_t>(request.Int("seed", 0, std::numeric_limits<int64_t>::max()));
      }
      const Seen seen = Look(request.String("image"), flags);
      PrintJson(ToJson(ActOn(policy, seen, request.String("instruction"), options)));
    } catch (const Error& error) {
      const std::string message = error.what();
      PrintJson({{"error", message.starts_with(source) ? message : fmt::format("{}: {}", source, message)}});
      status = 1;
    }
  }
  if (in.bad()) Fail("{}: cannot be read beyond line {}", name, number);
  return status;
}

int Act(const Common& common, Flags& flags) {
  RequireModel(flags.model);
  CheckFlags([&] { flags.drawing.Read(flags.options.sampler); });
  flags.options.sampler.greedy = flags.options.sampler.greedy || !flags.drawing.given();
  CheckFlags([&] { flags.options.sampler.Check(); });
  const bool batch = !flags.batch_file.empty();
  if (batch && !(flags.images.empty() && flags.instruction.empty())) {
    throw UsageError("--batch-file brings its own images and instructions; leave out the other ones");
  }
  if (!batch && flags.images.empty()) throw UsageError("--image is missing: what the robot sees, a PNG or JPEG file");
  if (!batch && flags.instruction.empty()) throw UsageError("--instruction is missing: what the robot is to do");
  if (batch && !flags.dump.empty()) throw UsageError("--dump is for one image, not for --batch-file");
  if (flags.images.size() > 1) {
    throw UsageError(fmt::format("--image is given {} times; this model sees one camera", flags.images.size()));
  }
  CheckUnnormKey(flags.model, common, flags.options.unnorm_key);
  std::optional<Seen> seen;  // before the weights are read
  std::ifstream lines;
  if (!batch) {
    seen = Look(flags.images[0], flags);
  } else if (flags.batch_file != "-") {
    OpenBatch(flags.batch_file, lines);
  }
  Policy policy(flags.model, {.threads = common.threads, .isa = common.isa}, common.Loading());
  if (batch) return RunBatch(policy, flags, lines.is_open() ? lines : std::cin);

  ActionTrace trace;
  if (!flags.dump.empty()) flags.options.trace = &trace;
  const Action action = ActOn(policy, *seen, flags.instruction, flags.options);
  if (!flags.dump.empty()) WriteTrace(policy, trace, flags.dump);
  if (common.json) {
    PrintJson(ToJson(action));
  } else {
    Print(ToTable(action));
    NoteTimings(action.timings);
  }
  return 0;
}

}  // namespace

void AddAct(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  flags->options.sampler.greedy = false;  // until no other way of drawing is asked for
  CLI::App* command =
      AddCommand(app, common,
                 {"act", "What a robot is to do next, from a camera's image and an instruction (OpenVLA)",
                  "kinetok act --model openvla-7b --image camera.png --instruction \"pick up the coke can\" "
                  "--unnorm-key bridge_orig"},
                 [flags, &common] { return Act(common, *flags); });
  command->add_option("--model", flags->model, "A policy's directory, in OpenVLA's layout");
  AddAdapter(command, common);
  AddTexts(command, "--image", flags->images, "What the robot sees: a PNG or JPEG file");
  command->add_option("--instruction", flags->instruction, "What the robot is to do");
  command->add_option("--batch-file", flags->batch_file,
                      "Many requests, one JSON object a line {\"image\": file, \"instruction\": text} and perhaps "
                      "unnorm_key and seed, answered in order as they come; - reads them from stdin");
  command->add_option("--unnorm-key", flags->options.unnorm_key,
                      "The data set whose statistics turn tokens into motion; needed when the model has several");
  command->add_flag("--unconstrained", flags->options.unconstrained,
                    "Let any token come, as OpenVLA's own code does, not the action tokens alone");
  command->add_option("--dump", flags->dump,
                      "Write pixel_values.npy, patch_features.npy and logits.npy into this folder");
  AddMaxImagePixels(command, flags->limits.max_pixels);
  flags->drawing.Add(command, flags->options.sampler);
  AddSeed(command, flags->options.sampler.seed, "With --temperature and its kind: which tokens are drawn");
}

}  // namespace kinetok::cli
