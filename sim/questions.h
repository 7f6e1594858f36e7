// Questions about what the camera sees, with answers that are true of the scene and leave no doubt: distances keep a
// margin, objects are in sight, and whatever is between two answers is not asked about.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/draws.h"
#include "sim/layout.h"
#include "sim/simulator.h"

namespace kinetok::sim {

enum class QuestionKind : uint8_t {
  kNearest,   // "what colour is the object nearest the gripper?"             a colour
  kCount,     // "how many objects are on the table?"                         2, 3 ...
  kExists,    // "is there a red cube?"                                       yes, no: as often the one as the other
  kShape,     // "what shape is the blue object?"                             cube, cylinder, ball, bar
  kColor,     // "what colour is the ball?"                                   a colour
  kZone,      // "what colour is the plate?"                                  a colour
  kRelation,  // "is the red cube left or right of the blue ball?"            left, right
  kLeftOf,    // "what is left of the blue ball?"                             "red cube"
  kOpen,      // "is the gripper open or closed?"                             open, closed
  kHolding,   // "is the gripper holding something?"                          yes, no
};
inline constexpr std::array kQuestionKinds = {QuestionKind::kNearest,  QuestionKind::kCount,  QuestionKind::kExists,
                                              QuestionKind::kShape,    QuestionKind::kColor,  QuestionKind::kZone,
                                              QuestionKind::kRelation, QuestionKind::kLeftOf, QuestionKind::kOpen,
                                              QuestionKind::kHolding};

std::string_view Name(QuestionKind kind);  // "nearest"

// Metres: a nearest object is nearer by so much than the next; one is left of another by so much.
inline constexpr double kNearestMargin = 0.025, kSideMargin = 0.04;
// Openings that count as open, and as closed; what lies between is not asked about.
inline constexpr double kSurelyOpen = 0.06, kSurelyClosed = 0.01;

struct Question {
  QuestionKind kind = QuestionKind::kNearest;
  std::string text;    // "what colour is the object nearest the gripper?"
  std::string answer;  // "red"
};

// A question of this kind about the present state, or nothing when none is free of doubt. `combinations` says which
// objects may be named that are not there.
std::optional<Question> DrawQuestion(const Simulator& simulator, QuestionKind kind, Combinations combinations,
                                     Draws& draws);
// Of a kind drawn among all; nothing when a dozen tries find none.
std::optional<Question> DrawQuestion(const Simulator& simulator, Combinations combinations, Draws& draws);

// What a model is given, and what it should say: "In: {text}\nOut:" and " {answer}".
std::string QuestionPrompt(const Question& question);
// Whether a model's text is the answer: the same words, whatever the case, spaces around it or a full stop.
bool IsAnswer(const Question& question, std::string_view text);

// What the best constant answer scores, kind by kind: the share of each kind's commonest answer, weighted by how many
// questions the kind has. 0 without questions.
double Chance(std::span<const Question> questions);

}  // namespace kinetok::sim
