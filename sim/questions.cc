#include "sim/questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace kinetok::sim {
namespace {

// "no" is true of most states; fewer of them are asked about.
constexpr double kNotHoldingShare = 0.8;
constexpr double kHeldBottom = 0.015, kOnTableBottom = 0.01;

class Asker {
 public:
  Asker(const Simulator& simulator, Combinations combinations, Draws& draws)
      : scene_(simulator.scene()), state_(simulator.state()), combinations_(combinations), draws_(draws) {
    for (size_t i = 0; i < scene_.objects.size(); ++i) in_sight_.push_back(simulator.InSight(i));
  }

  std::optional<Question> Draw(QuestionKind kind) {
    switch (kind) {
      case QuestionKind::kNearest:
        return Nearest();
      case QuestionKind::kCount:
        return Count();
      case QuestionKind::kExists:
        return Exists();
      case QuestionKind::kShape:
        return ShapeOf();
      case QuestionKind::kColor:
        return ColorOf();
      case QuestionKind::kZone:
        return ZoneColor();
      case QuestionKind::kRelation:
        return Relation();
      case QuestionKind::kLeftOf:
        return LeftOf();
      case QuestionKind::kOpen:
        return Open();
      case QuestionKind::kHolding:
        break;
    }
    return Holding();
  }

 private:
  using Texts = std::vector<std::string>;

  Question Ask(QuestionKind kind, const Texts& phrasings, std::string_view answer) {
    return {kind, draws_.Choose(phrasings), std::string(answer)};
  }

  bool AllInSight() const {
    return std::all_of(in_sight_.begin(), in_sight_.end(), [](bool seen) { return seen; });
  }

  // An object that is seen, or nothing when the one drawn is not.
  std::optional<size_t> DrawSeen() {
    const size_t i = draws_.Below(scene_.objects.size());
    return in_sight_[i] ? std::optional(i) : std::nullopt;
  }

  template <class Same>
  size_t CountObjects(const Same& same) const {
    return static_cast<size_t>(std::count_if(scene_.objects.begin(), scene_.objects.end(), same));
  }

  std::optional<Question> Nearest() {
    std::vector<std::pair<double, size_t>> away;
    for (size_t i = 0; i < scene_.objects.size(); ++i) {
      const Vec3& p = state_.objects[i].position;
      away.emplace_back(std::hypot(p[0] - state_.gripper.x, p[1] - state_.gripper.y), i);
    }
    std::sort(away.begin(), away.end());
    if (away.empty() || !AllInSight()) return {};
    if (away.size() > 1 && away[1].first - away[0].first < kNearestMargin) return {};
    return Ask(QuestionKind::kNearest,
               {"what colour is the object nearest the gripper?", "which colour is the object closest to the gripper?",
                "what is the colour of the object nearest to the gripper?"},
               Name(scene_.objects[away[0].second].color));
  }

  std::optional<Question> Count() {
    const bool all_down = std::all_of(state_.objects.begin(), state_.objects.end(),
                                      [](const ObjectState& o) { return o.bottom < kOnTableBottom; });
    if (!all_down || !AllInSight()) return {};
    return Ask(QuestionKind::kCount,
               {"how many objects are on the table?", "how many objects are there?", "count the objects on the table."},
               fmt::format("{}", scene_.objects.size()));
  }

  std::optional<Question> Exists() {
    if (!AllInSight()) return {};
    const bool yes = draws_.Chance(0.5);
    SceneObject asked;
    const auto there = [&](const SceneObject& o) { return o.color == asked.color && o.shape == asked.shape; };
    do {
      const SceneObject& like = scene_.objects[draws_.Below(scene_.objects.size())];
      asked = {kShapes[draws_.Below(kShapes.size())], kColors[draws_.Below(kColors.size())]};
      // What is not there shares its colour or its shape with something that is, as often as not.
      const double share = draws_.Uniform(0, 1);
      if (yes || share < 0.25) asked.color = like.color;
      if (yes || share > 0.75) asked.shape = like.shape;
    } while (!yes && (CountObjects(there) > 0 ||
                      (combinations_ == Combinations::kSeen && IsHeldOut(asked.color, asked.shape))));
    const std::string name = asked.Name();
    return Ask(QuestionKind::kExists,
               {fmt::format("is there a {}?", name), fmt::format("do you see a {}?", name),
                fmt::format("is a {} on the table?", name)},
               yes ? "yes" : "no");
  }

  std::optional<Question> ShapeOf() {
    const auto i = DrawSeen();
    if (!i) return {};
    const SceneObject& object = scene_.objects[*i];
    if (CountObjects([&](const SceneObject& o) { return o.color == object.color; }) != 1) return {};
    const std::string_view color = Name(object.color);
    return Ask(QuestionKind::kShape,
               {fmt::format("what shape is the {} object?", color), fmt::format("what is the {} object?", color),
                fmt::format("which shape does the {} object have?", color)},
               Name(object.shape));
  }

  std::optional<Question> ColorOf() {
    const auto i = DrawSeen();
    if (!i) return {};
    const SceneObject& object = scene_.objects[*i];
    if (CountObjects([&](const SceneObject& o) { return o.shape == object.shape; }) != 1) return {};
    const std::string_view shape = Name(object.shape);
    return Ask(QuestionKind::kColor,
               {fmt::format("what colour is the {}?", shape), fmt::format("which colour does the {} have?", shape),
                fmt::format("what is the colour of the {}?", shape)},
               Name(object.color));
  }

  std::optional<Question> ZoneColor() {
    if (scene_.zones.empty()) return {};
    const SceneZone& zone = scene_.zones[draws_.Below(scene_.zones.size())];
    const auto same = [&](const SceneZone& z) { return z.shape == zone.shape; };
    if (std::count_if(scene_.zones.begin(), scene_.zones.end(), same) != 1) return {};
    const std::string_view name = Name(zone.shape);
    return Ask(QuestionKind::kZone,
               {fmt::format("what colour is the {}?", name), fmt::format("which colour does the {} have?", name),
                fmt::format("what is the colour of the {}?", name)},
               Name(zone.color));
  }

  std::optional<Question> Relation() {
    const auto a = DrawSeen(), b = DrawSeen();
    if (!a || !b || *a == *b) return {};
    const double apart = state_.objects[*a].position[0] - state_.objects[*b].position[0];
    if (std::abs(apart) < kSideMargin) return {};
    const std::string one = scene_.objects[*a].Name(), other = scene_.objects[*b].Name();
    return Ask(QuestionKind::kRelation,
               {fmt::format("is the {} left or right of the {}?", one, other),
                fmt::format("on which side of the {1} is the {0}, left or right?", one, other),
                fmt::format("left or right: where is the {} seen from the {}?", one, other)},
               apart < 0 ? "left" : "right");
  }

  // One object is clearly left of it, and every other one clearly is not.
  std::optional<Question> LeftOf() {
    const auto of = DrawSeen();
    if (!of) return {};
    std::optional<size_t> left;
    for (size_t i = 0; i < scene_.objects.size(); ++i) {
      if (i == *of) continue;
      const double apart = state_.objects[i].position[0] - state_.objects[*of].position[0];
      if (std::abs(apart) < kSideMargin || (apart < 0 && (left || !in_sight_[i]))) return {};
      if (apart < 0) left = i;
    }
    if (!left) return {};
    const std::string name = scene_.objects[*of].Name();
    return Ask(QuestionKind::kLeftOf,
               {fmt::format("what is left of the {}?", name), fmt::format("which object is left of the {}?", name),
                fmt::format("what is on the left side of the {}?", name)},
               scene_.objects[*left].Name());
  }

  std::optional<Question> Open() {
    if (state_.opening > kSurelyClosed && state_.opening < kSurelyOpen) return {};
    return Ask(QuestionKind::kOpen,
               {"is the gripper open or closed?", "is the gripper closed or open?", "are the fingers open or closed?"},
               state_.opening >= kSurelyOpen ? "open" : "closed");
  }

  std::optional<Question> Holding() {
    const int held = state_.held();
    const bool yes = held >= 0 && state_.objects[static_cast<size_t>(held)].bottom >= kHeldBottom;
    const bool touched =
        std::any_of(state_.objects.begin(), state_.objects.end(), [](const ObjectState& o) { return o.touched(); });
    if (!yes && (touched || !draws_.Chance(kNotHoldingShare))) return {};
    return Ask(
        QuestionKind::kHolding,
        {"is the gripper holding something?", "does the gripper hold an object?", "is there something in the gripper?"},
        yes ? "yes" : "no");
  }

  const Scene& scene_;
  const WorldState& state_;
  Combinations combinations_;
  Draws& draws_;
  std::vector<bool> in_sight_;
};

std::string Plain(std::string_view text) {
  std::string plain;
  for (const char c : text) plain += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  constexpr std::string_view kSpaces = " \t\r\n";
  plain.erase(0, std::min(plain.find_first_not_of(kSpaces), plain.size()));
  while (!plain.empty() && (kSpaces.find(plain.back()) != std::string_view::npos || plain.back() == '.')) {
    plain.pop_back();
  }
  return plain;
}

}  // namespace

std::string_view Name(QuestionKind kind) {
  constexpr std::array<std::string_view, kQuestionKinds.size()> kNames = {
      "nearest", "count", "exists", "shape", "colour", "zone", "relation", "left_of", "open", "holding"};
  return kNames[static_cast<size_t>(kind)];
}

std::optional<Question> DrawQuestion(const Simulator& simulator, QuestionKind kind, Combinations combinations,
                                     Draws& draws) {
  return Asker(simulator, combinations, draws).Draw(kind);
}

std::optional<Question> DrawQuestion(const Simulator& simulator, Combinations combinations, Draws& draws) {
  Asker asker(simulator, combinations, draws);
  constexpr int kTries = 12;
  for (int i = 0; i < kTries; ++i) {
    if (auto question = asker.Draw(kQuestionKinds[draws.Below(kQuestionKinds.size())])) return question;
  }
  return {};
}

std::string QuestionPrompt(const Question& question) {
  return fmt::format("In: {}\nOut:", question.text);
}

bool IsAnswer(const Question& question, std::string_view text) {
  return Plain(text) == question.answer;
}

double Chance(std::span<const Question> questions) {
  if (questions.empty()) return 0;
  std::map<QuestionKind, std::map<std::string_view, int64_t>> counts;
  for (const Question& q : questions) ++counts[q.kind][q.answer];
  int64_t right = 0;
  for (const auto& [kind, answers] : counts) {
    right += std::max_element(answers.begin(), answers.end(), [](const auto& a, const auto& b) {
               return a.second < b.second;
             })->second;
  }
  return static_cast<double>(right) / static_cast<double>(questions.size());
}

}  // namespace kinetok::sim
