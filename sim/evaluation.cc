#include "sim/evaluation.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "kinetok/base/error.h"
#include "kinetok/base/sha256.h"
#include "sim/draws.h"
#include "sim/expert.h"

namespace kinetok::sim {
namespace {

void CheckCommon(int64_t episodes, int64_t image_size) {
  if (episodes < 1) Fail("episodes is {}; expected at least 1", episodes);
  if (image_size < kMinRenderSize || image_size > kMaxRenderSize) {
    Fail("image_size is {}; expected {} to {}", image_size, kMinRenderSize, kMaxRenderSize);
  }
}

Image Grey(int64_t size) {
  Image image(size, size);
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{128});
  return image;
}

// Of the next episode that asks for something else: in this scene another way to say the same would be obeyed rightly.
std::string OtherInstruction(const Situation& situation, int64_t index, const EvaluationOptions& options) {
  for (auto other = static_cast<uint64_t>(index) + 1;; ++other) {
    std::string text = DrawSituation(options.seed, other, options.layout).instruction;
    if (FindTask(situation.scene, text) != situation.task) return text;
  }
}

// Over an episode's inner steps: the sum of squared jerks. A step moves by what it commands, in kControlPeriod.
double SquaredJerks(const std::vector<ActionVector>& actions) {
  constexpr double kPerCube = 1 / (kControlPeriod * kControlPeriod * kControlPeriod);
  double sum = 0;
  for (size_t t = 1; t + 1 < actions.size(); ++t) {
    for (size_t axis = 0; axis < 3; ++axis) {
      const double jerk = kPerCube * (actions[t + 1][axis] - 2 * actions[t][axis] + actions[t - 1][axis]);
      sum += jerk * jerk;
    }
  }
  return sum;
}

}  // namespace

void EvaluationOptions::Check() const {
  CheckCommon(episodes, image_size);
  CheckMaxSteps(max_steps);
}

Renderers::Renderers(const EvaluationOptions& options) {
  if (options.images) images.emplace(options.image_size);
  if (options.frames) frames.emplace(kFrameSize);
}

EvaluatedEpisode EvaluateEpisode(int64_t index, const ControllerFactory& controllers, const EvaluationOptions& options,
                                 Renderers& renderers) {
  EvaluatedEpisode out{.index = index,
                       .situation = DrawSituation(options.seed, static_cast<uint64_t>(index), options.layout)};
  out.instruction =
      options.shuffle_instructions ? OtherInstruction(out.situation, index, options) : out.situation.instruction;
  Simulator simulator(out.situation.scene);
  Controller controller = controllers(out.situation, index);
  if (options.blank_image) {
    controller = [inner = std::move(controller), grey = Grey(options.image_size)](
                     const Image&, std::string_view instruction, const WorldState& state) {
      return inner(grey, instruction, state);
    };
  }
  EpisodeOptions episode{.max_steps = options.max_steps, .renderer = renderers.images ? &*renderers.images : nullptr};
  episode.cancelled = options.cancelled;
  const auto keep_frame = [&](const Simulator& now) { out.frames.push_back(renderers.frames->Render(now)); };
  if (renderers.frames) episode.on_step = [&](const EpisodeStep& step) { keep_frame(step.simulator); };
  out.result = RunEpisode(simulator, out.situation.task, out.instruction, controller, episode);
  if (!out.result.fault.empty()) return out;  // MuJoCo has set everything back: there is no end to show
  if (renderers.frames) keep_frame(simulator);
  if (options.on_end && !out.result.cancelled) {
    options.on_end(out, simulator, renderers.images ? renderers.images->Render(simulator) : Image{});
  }
  return out;
}

Evaluation Evaluate(const ControllerFactory& controllers, const EvaluationOptions& options) {
  options.Check();
  Renderers renderers(options);
  Evaluation out;
  for (const TaskKind kind : Distinct(options.layout.tasks)) out.by_task.push_back({.kind = kind});
  Sha256 fingerprint;
  double squared_jerks = 0;
  int64_t inner_steps = 0;
  for (int64_t i = 0; i < options.episodes; ++i) {
    const EvaluatedEpisode episode = EvaluateEpisode(i, controllers, options, renderers);
    if (episode.result.cancelled) {
      out.cancelled = true;
      break;
    }
    const EpisodeResult& result = episode.result;
    TaskScore& task = Of(episode.situation.task.kind, out.by_task);
    ++task.episodes;
    ++out.episodes;
    task.successes += static_cast<int64_t>(result.success);
    out.successes += static_cast<int64_t>(result.success);
    out.faults += static_cast<int64_t>(!result.fault.empty());
    task.steps += result.steps;
    out.steps += result.steps;
    out.seconds.insert(out.seconds.end(), result.seconds.begin(), result.seconds.end());
    squared_jerks += SquaredJerks(result.actions);
    inner_steps += std::max<int64_t>(0, static_cast<int64_t>(result.actions.size()) - 2);
    fingerprint.Update(std::as_bytes(std::span(result.actions)));
    if (options.on_episode) options.on_episode(episode);
  }
  out.jerk = inner_steps > 0 ? std::sqrt(squared_jerks / static_cast<double>(inner_steps)) : 0;
  out.actions_fingerprint = fingerprint.Hex();
  return out;
}

void AskOptions::Check() const {
  CheckCommon(episodes, image_size);
  if (questions_per_episode < 1) Fail("questions_per_episode is {}; expected at least 1", questions_per_episode);
}

AskReport Ask(const Answerer& answer, const AskOptions& options) {
  options.Check();
  Renderer renderer(options.image_size);
  const Image grey = Grey(options.image_size);
  std::vector<Question> asked;
  std::vector<bool> right;
  AskReport report;
  for (int64_t i = 0; i < options.episodes && !report.cancelled; ++i) {
    const auto index = static_cast<uint64_t>(i);
    const Situation situation = DrawSituation(options.seed, index, options.layout);
    Simulator simulator(situation.scene);
    Draws draws(options.seed, RandomStream::kNoise, index);
    constexpr size_t kLongest = 16;  // steps: from the first look to an object in the air
    try {
      for (size_t step = draws.Below(kLongest); step > 0; --step) {
        simulator.Step(ExpertAction(situation.scene, situation.task, simulator.state()));
      }
    } catch (const PhysicsError&) {
      ++report.faults;
      continue;
    }
    const Image image = renderer.Render(simulator);
    for (int64_t k = 0; k < options.questions_per_episode; ++k) {
      if (options.cancelled && options.cancelled()) {
        report.cancelled = true;
        break;
      }
      const auto question = DrawQuestion(simulator, options.layout.combinations, draws);
      if (!question) continue;
      right.push_back(IsAnswer(*question, answer(options.blank_image ? grey : image, *question)));
      asked.push_back(*question);
    }
    if (options.on_episode) options.on_episode(i + 1);
  }
  report.questions = static_cast<int64_t>(asked.size());
  report.right = std::count(right.begin(), right.end(), true);
  report.chance = Chance(asked);
  for (const QuestionKind kind : kQuestionKinds) {
    KindScore score{.kind = kind};
    std::vector<Question> of_kind;
    for (size_t i = 0; i < asked.size(); ++i) {
      if (asked[i].kind != kind) continue;
      of_kind.push_back(asked[i]);
      score.right += static_cast<int64_t>(right[i]);
    }
    score.questions = static_cast<int64_t>(of_kind.size());
    score.chance = Chance(of_kind);
    if (score.questions > 0) report.by_kind.push_back(score);
  }
  return report;
}

}  // namespace kinetok::sim
