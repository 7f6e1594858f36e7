#include "kinetok/serve/act_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cmath>
#include <fstream>
#include <thread>

#include "kinetok/io/io_test_files.h"
#include "kinetok/serve/act_request.h"
#include "kinetok/serve/act_request_cases.h"
#include "kinetok/vla/test_policy.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

class ActServiceTest : public ::testing::Test, protected TestPolicy {
 protected:
  std::string Body(const std::string& instruction) const { return ActRequestJson(View(), instruction).dump(); }
  std::string Expected(const std::string& instruction, bool encoded = false) {
    return FormatAction(policy.Act(View(), instruction, {.unnorm_key = "toy"}).values, encoded);
  }
  void AddStatistics() {
    WriteFileAtomically(
        dir / "dataset_statistics.json",
        Json({{"one", Statistics({0, 0, 0}, {1, 1, 1})}, {"two", Statistics({0, 0, 0}, {2, 2, 2})}}).dump());
  }

  Policy policy{dir, {.threads = 1, .isa = "auto"}};
};

TEST_F(ActServiceTest, TheAnswerIsThePolicysActionBitForBit) {
  ActService service(policy, {});
  for (const char* instruction : {"reach", "push the red block", "컵을 잡아"}) {
    const Answer plain = service.Act(Body(instruction));
    EXPECT_EQ(plain.status, 200);
    EXPECT_EQ(plain.body, Expected(instruction));
    const Answer encoded = service.Act(Json({{"encoded", Body(instruction)}}).dump());
    EXPECT_EQ(encoded.status, 200);
    EXPECT_EQ(encoded.body, Expected(instruction, true));
  }
  EXPECT_NE(Expected("reach"), Expected("push the red block"));
}

TEST_F(ActServiceTest, EveryFaultyBodyIsA400ThatNamesItAndTheServiceGoesOn) {
  ActService service(policy, {.max_image_pixels = 1 << 20});
  for (const ActBodyCase& c : ActBodyCases()) {
    const Answer answer = service.Act(c.body);
    EXPECT_EQ(answer.status, c.error.empty() ? 200 : 400) << c.name << ": " << answer.body;
    EXPECT_THAT(c.error.empty() ? "" : Json::parse(answer.body).at("error").get<std::string>(), HasSubstr(c.error))
        << c.name;
  }
  EXPECT_EQ(service.Act(Body("reach")).body, Expected("reach"));
  EXPECT_EQ(service.turns().length(), 0);
}

TEST_F(ActServiceTest, AnInstructionBeyondTheModelsContextIsA400) {
  ActService service(policy, {});
  const Answer answer = service.Act(Body(std::string(300, 'x')));
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("context holds 200"));
  // Told at once, also while others wait.
  std::optional<Turns::Turn> turn = service.turns().Take();
  EXPECT_EQ(service.Act(Body(std::string(300, 'x'))).status, 400);
}

TEST_F(ActServiceTest, AFaultOfTheModelIsA500AndNotTheClients) {
  const ParameterList list(config);
  SaveCheckpoint(dir, config, std::vector<float>(static_cast<size_t>(list.elements), std::nanf("")),
                 policy.model().tokenizer(), DType::kF32);
  Policy broken(dir, {.threads = 1, .isa = "auto"});
  ActService service(broken, {});
  const Answer answer = service.Act(Body("reach"));
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(Json::parse(answer.body).at("error").get<std::string>(), HasSubstr("logits hold NaN"));
  EXPECT_EQ(service.Act("nonsense").status, 400);
  EXPECT_EQ(service.Act(Body(std::string(300, 'x'))).status, 400);
  EXPECT_EQ(Json::parse(service.Health().body).at("answered"), 0);
}

TEST_F(ActServiceTest, AKeyIsNeededWhenThereAreSeveralAndMayHaveADefault) {
  AddStatistics();
  Policy two(dir, {.threads = 1, .isa = "auto"});
  ActService without(two, {}), with(two, {.unnorm_key = "two"});
  Json request = ActRequestJson(View(), "reach");
  const Answer ambiguous = without.Act(request.dump());
  EXPECT_EQ(ambiguous.status, 400);
  EXPECT_THAT(ambiguous.body, HasSubstr("statistics of 2 data sets; unnorm_key must name one of one, two"));
  EXPECT_EQ(with.Act(request.dump()).body, FormatAction(two.Act(View(), "reach", {.unnorm_key = "two"}).values, false));
  request["unnorm_key"] = "one";
  for (ActService* service : {&without, &with}) {
    EXPECT_EQ(service->Act(request.dump()).body,
              FormatAction(two.Act(View(), "reach", {.unnorm_key = "one"}).values, false));
  }
  request["unnorm_key"] = "bridge_orig";
  const Answer unknown = with.Act(request.dump());
  EXPECT_EQ(unknown.status, 400);
  EXPECT_THAT(unknown.body, HasSubstr("unnorm_key is \\\"bridge_orig\\\""));
  EXPECT_THAT(ErrorOf([&] { ActService(two, {.unnorm_key = "three"}); }), HasSubstr("unnorm_key is \"three\""));
}

TEST_F(ActServiceTest, NothingIsComputedForAClientThatHasLeft) {
  ActService service(policy, {});
  std::optional<Turns::Turn> turn = service.turns().Take();
  std::thread waiting([&] { EXPECT_EQ(service.Act(Body("reach"), [] { return true; }).status, kClientGone); });
  while (service.turns().length() < 2) std::this_thread::yield();
  turn.reset();
  waiting.join();
  EXPECT_EQ(Json::parse(service.Health().body).at("answered"), 0);
  EXPECT_EQ(service.Act(Body("reach"), [] { return true; }).status, 200);  // it did not have to wait
}

// VmRSS or VmHWM, in bytes.
int64_t Memory(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (int64_t kib = 0; word == field + ":" && status >> kib) return kib << 10;
  }
  return -1;
}

TEST_F(ActServiceTest, LongBodiesAreReadOneAtATimeInSixTimesTheirMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps memory for itself";
#endif
  constexpr int64_t kWidth = 1600, kHeight = 1200, kClients = 6;
  const std::vector<uint8_t> seven(3 * kWidth * kHeight, 7);
  Json request = ActRequestJson({seven.data(), kWidth, kHeight, 3 * kWidth}, "reach");
  const std::string body = Json({{"encoded", request.dump()}}).dump();
  request.clear();
  mallopt(M_MMAP_THRESHOLD, 1 << 20);  // or freed memory stays, in an arena of each thread
  ActService service(policy, {});
  EXPECT_EQ(service.Act(body).status, 200);
  std::ofstream("/proc/self/clear_refs") << 5;  // VmHWM begins anew
  const int64_t before = Memory("VmRSS");
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] { EXPECT_EQ(service.Act(body).status, 200); });
  }
  for (std::thread& t : clients) t.join();
  const double bodies = static_cast<double>(Memory("VmHWM") - before) / static_cast<double>(body.size());
  EXPECT_LT(bodies, kClients + 6) << "times the memory of one body of " << body.size() << " bytes";
}

TEST_F(ActServiceTest, AFullQueueIsA503) {
  ActService service(policy, {.queue = 2});
  std::optional<Turns::Turn> turn = service.turns().Take();
  std::thread waiting([&] { EXPECT_EQ(service.Act(Body("reach")).status, 200); });
  while (service.turns().length() < 2) std::this_thread::yield();
  const Answer answer = service.Act(Body("reach"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("2 requests are waiting, the most that may (--queue)"));
  turn.reset();
  waiting.join();
}

TEST_F(ActServiceTest, HealthTellsTheModelAndWhatWasAnswered) {
  ActService service(policy, {.model = "robot \xff"});
  service.Act(Body("reach"));
  service.Act("nonsense");
  const Json health = Json::parse(service.Health().body);
  EXPECT_EQ(health.at("status"), "ok");
  EXPECT_EQ(health.at("model"), "robot \xef\xbf\xbd");
  EXPECT_EQ(health.at("unnorm_keys"), Json::array({"toy"}));
  EXPECT_EQ(health.at("queue"), 0);
  EXPECT_EQ(health.at("answered"), 1);
  EXPECT_GE(health.at("uptime_s"), 0);
  EXPECT_EQ(Json::parse(service.Health(true).body).at("status"), "stopping");
}

}  // namespace
}  // namespace kinetok
