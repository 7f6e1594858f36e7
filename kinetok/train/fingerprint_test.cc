#include "kinetok/train/fingerprint.h"

#include <gtest/gtest.h>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/decode/logits.h"
#include "kinetok/model/model.h"

namespace kinetok {
namespace {

Json Committed() {
  const std::string file = KINETOK_SOURCE_DIR "/tests/golden/fingerprints.json";
  return ParseJson(ReadFile(file), file);
}

TEST(FingerprintTest, TwentyTrainingStepsGiveTheCommittedWeightsOnEveryInstructionSet) {
  const std::string want = Committed().at("training").get<std::string>();
  for (const Isa isa : SupportedIsas()) {
    Context context(2, isa);
    EXPECT_EQ(TrainingFingerprint(context), want) << IsaName(isa);
  }
  Context one(1, BestIsa());
  EXPECT_EQ(TrainingFingerprint(one), want) << "one thread";
}

TEST(FingerprintTest, TheBundledModelGivesTheCommittedLogitsOnEveryInstructionSet) {
  const std::string want = Committed().at("writer").get<std::string>();
  for (const Isa isa : SupportedIsas()) {
    Context context(2, isa);
    const auto model = Model::Load(context, KINETOK_SOURCE_DIR "/models/writer");
    EXPECT_EQ(Fingerprint(context, *model), want) << IsaName(isa);
  }
}

}  // namespace
}  // namespace kinetok
