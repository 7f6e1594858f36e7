#include "sim/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/demonstrations.h"
#include "sim/describe.h"
#include "sim/draws.h"
#include "sim/noise.h"
#include "sim/questions.h"

namespace kinetok::sim {
namespace {

OrderedJson FileAttributes(const RecordOptions& o) {
  OrderedJson tasks = OrderedJson::array();
  for (const TaskKind kind : o.layout.tasks) tasks.push_back(Name(kind));
  const OrderedJson thresholds = {
      {"reach_m", kReachRadius},      {"push_m", kPushDistance}, {"push_sideways_m", kPushSideways},
      {"zone_margin_m", kZoneMargin}, {"pick_m", kPickHeight},   {"bar_alignment_rad", kBarAlignment},
      {"place_m", kPlaceRadius}};
  const OrderedJson arguments = {{"seed", o.seed},
                                 {"tasks", tasks},
                                 {"combinations", Name(o.layout.combinations)},
                                 {"partial_names", o.layout.partial_names},
                                 {"control_hz", 1 / kControlPeriod},
                                 {"max_steps", o.max_steps},
                                 {"noise", o.noise},
                                 {"policy_share", o.policy ? o.policy_share : 0},
                                 {"push_slide", o.push_slide},
                                 {"thresholds", thresholds}};
  constexpr const char* kName = "kinetok_table";
  constexpr int kOwnType = 0;  // none of the simulators that robomimic numbers, from 1 on
  return {{"image_rotation", 0},
          {"macros_image_convention", "opencv"},  // the first row is the upper one
          {"env_name", kName},
          {"problem_info", {{"problem_name", kName}, {"domain_name", "kinetok"}}},
          {"env_args", {{"type", kOwnType}, {"env_name", kName}, {"env_kwargs", arguments}}}};
}

// A gripper's turn as LIBERO writes it: along the axis, as long as the angle.
Vec3 AxisAngle(const GripperPose& pose) {
  const double cr = std::cos(pose.roll / 2), cp = std::cos(pose.pitch / 2), cy = std::cos(pose.yaw / 2);
  const double sr = std::sin(pose.roll / 2), sp = std::sin(pose.pitch / 2), sy = std::sin(pose.yaw / 2);
  const double w = cr * cp * cy + sr * sp * sy;
  const Vec3 v = {sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy};
  const double length = std::hypot(v[0], v[1], v[2]);
  const double scale = length > 0 ? 2 * std::atan2(length, w) / length : 0;
  return {v[0] * scale, v[1] * scale, v[2] * scale};
}

// The demonstrations' file as a file of lines about them names it: relative to its own folder.
std::filesystem::path FileFrom(const std::filesystem::path& lines, const std::filesystem::path& demonstrations) {
  const auto folder = std::filesystem::absolute(lines).lexically_normal().parent_path();
  return std::filesystem::absolute(demonstrations).lexically_normal().lexically_relative(folder);
}

// Files are opened before the first episode: what cannot be written is told at once, not when hours of work are lost.
void RefuseFolder(const std::filesystem::path& path) {
  std::error_code fault;
  if (is_directory(path, fault)) Fail("{}: is a folder; expected a file to write", path.string());
}
std::optional<AtomicFile> Open(const std::filesystem::path& path) {
  if (path.empty()) return std::nullopt;
  RefuseFolder(path);
  return std::optional<AtomicFile>(std::in_place, path);
}

bool SameFile(const std::filesystem::path& a, const std::filesystem::path& b) {
  if (a.empty() || b.empty()) return false;
  return std::filesystem::absolute(a).lexically_normal() == std::filesystem::absolute(b).lexically_normal();
}

// What is said about a picture.
struct Remark {
  int64_t step;
  Question question;
  std::vector<std::string> patches{};
};

// One episode as it happens.
class Take {
 public:
  Take(const RecordOptions& options, int64_t index, Renderer& renderer)
      : options_(options),
        index_(static_cast<uint64_t>(index)),
        renderer_(renderer),
        situation_(DrawSituation(options.seed, index_, options.layout)),
        simulator_(situation_.scene),
        choices_(options.seed, RandomStream::kNoise, (uint64_t{1} << 63) | index_) {
    demonstration_.instruction = situation_.instruction;
  }

  EpisodeResult Run() {
    ChooseFrames();
    EpisodeOptions episode{.max_steps = options_.max_steps, .renderer = &renderer_};
    episode.cancelled = options_.cancelled;
    episode.on_step = [this](const EpisodeStep& step) { Keep(step); };
    episode.disturb = [this](const ActionVector& action, int64_t step) {
      return policy_action_ ? *policy_action_ : Disturb(action, options_.noise, options_.seed, index_, step);
    };
    const auto controller = [this](const Image& image, std::string_view instruction, const WorldState& state) {
      if (options_.policy && count_ % kPolicyStretch == 0) policy_drives_ = choices_.Chance(options_.policy_share);
      ++count_;
      policy_action_.reset();
      if (policy_drives_) policy_action_ = options_.policy(image, instruction, state);
      return ExpertAction(situation_.scene, situation_.task, state, options_.push_slide);
    };
    EpisodeResult result = RunEpisode(simulator_, situation_.task, situation_.instruction, controller, episode);
    demonstration_.success = result.success;
    demonstration_.attributes = {
        {"episode", {{"index", index_}, {"task", Name(situation_.task.kind)}, {"success", result.success}}}};
    return result;
  }

  const Situation& situation() const { return situation_; }
  const Demonstration& demonstration() const { return demonstration_; }

  // As lines, when the episode became `demo_<number>`; counts them.
  std::string QuestionLines(int64_t number, int64_t& count) const {
    return Lines(questions_, options_.questions, number, count);
  }
  std::string DescriptionLines(int64_t number, int64_t& count) const {
    return Lines(descriptions_, options_.descriptions, number, count);
  }

 private:
  std::string Lines(const std::vector<Remark>& remarks, const std::filesystem::path& to, int64_t number,
                    int64_t& count) const {
    std::string lines;
    for (const Remark& remark : remarks) {
      OrderedJson line = {
          {"image", fmt::format("{}:demo_{}:{}", FileFrom(to, options_.out).string(), number, remark.step)},
          {"prompt", QuestionPrompt(remark.question)},
          {"completion", " " + remark.question.answer}};
      if (!remark.patches.empty()) line["patches"] = remark.patches;
      lines += line.dump() + "\n";
      ++count;
    }
    return lines;
  }

  // How often the pictures are asked about is drawn as they come, since nobody knows how many there will be: each
  // question is due in a step among the first so many.
  void ChooseFrames() {
    constexpr size_t kFirst = 20;
    const auto draw = [&] { return static_cast<int64_t>(choices_.Below(kFirst)); };
    if (!options_.questions.empty()) {
      for (int64_t i = 0; i < options_.questions_per_episode; ++i) due_.push_back(draw());
    }
    if (!options_.descriptions.empty()) {
      for (int64_t i = 0; i < options_.descriptions_per_episode; ++i) described_.insert(draw());
      for (int64_t i = 0; i < options_.plans_per_episode; ++i) planned_.insert(draw());
    }
  }

  void Keep(const EpisodeStep& step) {
    demonstration_.images.push_back(step.image);
    // LIBERO's gripper is -1 open, 1 closed.
    for (size_t i = 0; i < kActionSize; ++i) {
      demonstration_.actions.push_back(i == 6 ? 1 - 2 * step.action[i] : step.action[i]);
    }
    const std::vector<double> saved = step.simulator.Save();
    demonstration_.states.insert(demonstration_.states.end(), saved.begin(), saved.end());
    Observe(step.simulator.state());
    for (size_t i = 0; i < due_.size(); ++i) {
      if (due_[i] != step.step) continue;
      if (auto question = DrawQuestion(step.simulator, options_.layout.combinations, choices_)) {
        questions_.push_back({step.step, std::move(*question)});
      }
    }
    if (described_.contains(step.step)) Describe(step);
    if (planned_.contains(step.step)) {
      if (auto plan = DescribePlan(step.simulator, situation_.task)) {
        descriptions_.push_back({step.step, {.text = PlanPrompt(situation_.instruction), .answer = std::move(*plan)}});
      }
    }
  }

  // What LIBERO's robots feel beside what their cameras see.
  void Observe(const WorldState& state) {
    const auto observe = [&](const char* name, std::initializer_list<double> values) {
      std::vector<double>& all = demonstration_.observations[name];
      all.insert(all.end(), values);
    };
    const GripperPose& g = state.gripper;
    const Vec3 turn = AxisAngle(g);
    observe("ee_pos", {g.x, g.y, g.z});
    observe("ee_ori", {turn[0], turn[1], turn[2]});
    observe("ee_states", {g.x, g.y, g.z, turn[0], turn[1], turn[2]});
    observe("gripper_states", {state.fingers[0], -state.fingers[1]});
  }

  void Describe(const EpisodeStep& step) {
    const Origin origin = choices_.Chance(0.5) ? Origin::kTable : Origin::kGripper;
    Remark remark{
        step.step,
        {.text = std::string(DescribePrompt(origin)), .answer = sim::Describe(step.simulator, origin, choices_)}};
    if (options_.patch > 0) remark.patches = PatchWords(step.simulator, renderer_, options_.patch, choices_);
    descriptions_.push_back(std::move(remark));
  }

  const RecordOptions& options_;
  uint64_t index_;
  Renderer& renderer_;
  Situation situation_;
  Simulator simulator_;
  Draws choices_;
  Demonstration demonstration_{};
  std::vector<int64_t> due_{};
  std::set<int64_t> described_{}, planned_{};
  std::vector<Remark> questions_{}, descriptions_{};
  int64_t count_ = 0;
  bool policy_drives_ = false;
  std::optional<ActionVector> policy_action_{};
};

}  // namespace

void RecordOptions::Check() const {
  if (out.empty()) Fail("out is missing; expected a file to write, such as demos.hdf5");
  if (SameFile(questions, out)) Fail("questions is {}, the file of the demonstrations", questions.string());
  if (SameFile(descriptions, out)) Fail("descriptions is {}, the file of the demonstrations", descriptions.string());
  if (SameFile(questions, descriptions)) Fail("descriptions is {}, the file of the questions", descriptions.string());
  if (episodes < 1) Fail("episodes is {}; expected at least 1", episodes);
  if (image_size < kMinRenderSize || image_size > kMaxRenderSize) {
    Fail("image_size is {}; expected {} to {}", image_size, kMinRenderSize, kMaxRenderSize);
  }
  CheckMaxSteps(max_steps);
  if (!(noise >= 0 && noise <= 1)) Fail("noise is {}; expected 0 to 1", noise);
  if (questions_per_episode < 0) Fail("questions_per_episode is {}; expected at least 0", questions_per_episode);
  if (patch < 0 || (patch > 0 && image_size % patch != 0)) {
    Fail("patch is {}; expected a divisor of the image_size, {}, or 0 for none", patch, image_size);
  }
  if (descriptions_per_episode < 0) {
    Fail("descriptions_per_episode is {}; expected at least 0", descriptions_per_episode);
  }
  if (plans_per_episode < 0) Fail("plans_per_episode is {}; expected at least 0", plans_per_episode);
  if (!(push_slide >= 0 && push_slide <= 0.05)) Fail("push_slide is {}; expected 0 to 0.05 metres", push_slide);
  if (!(policy_share >= 0 && policy_share <= 1)) Fail("policy_share is {}; expected 0 to 1", policy_share);
}

RecordSummary Record(const RecordOptions& options) {
  options.Check();
  std::optional<AtomicFile> questions = Open(options.questions), descriptions = Open(options.descriptions);
  RefuseFolder(options.out);
  Renderer renderer(options.image_size);
  DemonstrationWriter writer(options.out, FileAttributes(options));
  RecordSummary summary;
  for (const TaskKind kind : Distinct(options.layout.tasks)) summary.by_task.push_back({.kind = kind});
  for (int64_t i = 0; i < options.episodes; ++i) {
    Take take(options, i, renderer);
    const EpisodeResult result = take.Run();
    if (result.cancelled) {
      summary.cancelled = true;
      break;
    }
    RecordedTask& task = Of(take.situation().task.kind, summary.by_task);
    ++task.episodes;
    ++summary.episodes;
    task.successes += static_cast<int64_t>(result.success);
    summary.successes += static_cast<int64_t>(result.success);
    summary.faults += static_cast<int64_t>(!result.fault.empty());
    if (result.success || (options.policy && result.fault.empty())) {
      if (questions) questions->Write(take.QuestionLines(writer.written(), summary.questions));
      if (descriptions) descriptions->Write(take.DescriptionLines(writer.written(), summary.descriptions));
      writer.Add(take.demonstration());
      ++task.kept;
      ++summary.kept;
      task.steps += result.steps;
      summary.steps += result.steps;
    }
    if (options.on_episode) options.on_episode(summary.episodes, summary.steps);
  }
  if (summary.kept == 0 && summary.cancelled) return summary;
  if (summary.kept == 0) Fail("{}: no episode was kept of the {} that were run", options.out, summary.episodes);
  writer.Finish();
  if (questions) questions->Commit();
  if (descriptions) descriptions->Commit();
  return summary;
}

}  // namespace kinetok::sim
