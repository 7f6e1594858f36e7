// A policy over HTTP as its clients see it.
#include "kinetok/serve/server.h"

#include "kinetok/io/io_test_files.h"
#include "kinetok/serve/test_server.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

TEST_F(ServerTest, AnswersBothEncodingsWithThePolicysActionBitForBit) {
  Start();
  TestClient client(port());
  for (const char* instruction : {"reach", "push the red block", "컵을 \"잡아\""}) {
    const TestResponse plain = client.Post("/act", Body(instruction));
    EXPECT_EQ(plain.status, 200);
    EXPECT_EQ(plain.headers.at("content-type"), "application/json");
    EXPECT_EQ(plain.headers.at("connection"), "keep-alive");
    EXPECT_EQ(plain.body, Expected(instruction));
    const TestResponse encoded = client.Post("/act", Json({{"encoded", Body(instruction)}}).dump());
    EXPECT_EQ(encoded.status, 200);
    EXPECT_EQ(Json::parse(encoded.body).get<std::string>(), plain.body);
  }
}

TEST_F(ServerTest, TellsItsHealth) {
  Start({}, {.model = "toy"});
  TestClient client(port());
  client.Post("/act", Body());
  const TestResponse health = client.Get("/health?verbose=1");
  EXPECT_EQ(health.status, 200);
  const Json json = Json::parse(health.body);
  EXPECT_EQ(json.at("status"), "ok");
  EXPECT_EQ(json.at("model"), "toy");
  EXPECT_EQ(json.at("queue"), 0);
  EXPECT_EQ(json.at("answered"), 1);
  client.Send("HEAD /health HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.Receive(/*with_body=*/false).status, 200);
  EXPECT_EQ(client.Get("/health").status, 200);
}

TEST_F(ServerTest, WhatItDoesNotAnswerHasAReason) {
  Start();
  TestClient client(port());
  const TestResponse path = client.Get("/acts");
  EXPECT_EQ(path.status, 404);
  EXPECT_EQ(path.error(), "the path is \"/acts\", expected POST /act or GET /health");
  const TestResponse method = client.Get("/act");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.at("allow"), "POST");
  EXPECT_EQ(method.error(), "the method is GET, expected POST for /act");
  const TestResponse post = client.Post("/health", "{}");
  EXPECT_EQ(post.status, 405);
  EXPECT_EQ(post.headers.at("allow"), "GET, HEAD");
  EXPECT_EQ(post.headers.at("connection"), "close");  // its body was not read
  EXPECT_TRUE(client.AtEnd());
  ExpectService();
}

TEST_F(ServerTest, AnswersThePathsOfProxyClientsAndClosesWhenAskedTo) {
  Start();
  const auto answer = [&](const std::string& path, const std::string& headers) {
    TestClient client(port());
    client.Send(fmt::format("GET {} HTTP/1.1\r\n{}\r\n", path, headers));
    const TestResponse response = client.Receive();
    const bool close = response.headers.at("connection") == "close";
    EXPECT_EQ(close, close && client.AtEnd()) << headers;
    return std::pair(response.status, close);
  };
  EXPECT_EQ(answer("http://127.0.0.1:8000/health", ""), std::pair(200, false));
  EXPECT_EQ(answer("http://127.0.0.1:8000/healths", ""), std::pair(404, false));
  EXPECT_EQ(answer("http://127.0.0.1:8000", ""), std::pair(404, false));
  EXPECT_EQ(answer("/health", "Connection: TE\r\n"), std::pair(200, false));
  EXPECT_EQ(answer("/health", "Connection: Close, TE\r\n"), std::pair(200, true));
  EXPECT_EQ(answer("/health", "Connection: TE\r\nConnection: close\r\n"), std::pair(200, true));
}

TEST_F(ServerTest, EveryFaultyBodyIsA400ThatNamesIt) {
  Start({}, {.max_image_pixels = 1 << 20});
  TestClient client(port());  // one connection for all of them
  for (const ActBodyCase& c : ActBodyCases()) {
    const TestResponse response = client.Post("/act", c.body);
    EXPECT_EQ(response.status, c.error.empty() ? 200 : 400) << c.name << ": " << response.body;
    EXPECT_THAT(c.error.empty() ? "" : response.error(), HasSubstr(c.error)) << c.name;
  }
  EXPECT_EQ(client.Post("/act", Body()).body, Expected());
}

TEST_F(ServerTest, AKeyOpensAct) {
  const std::string key = "correct%20horse";  // not decoded
  Start({.api_key = ApiKey(key)});
  for (const char* header : {"", "Authorization: Bearer wrong\r\n", "Authorization: correct%20horse\r\n",
                             "Authorization: Bearer correct horse\r\n"}) {
    TestClient client(port());
    const TestResponse response = client.Post("/act", Body(), header);
    EXPECT_EQ(response.status, 401) << header;
    EXPECT_EQ(response.headers.at("www-authenticate"), "Bearer");
    EXPECT_THAT(response.error(), HasSubstr("expected \"Bearer KEY\""));
  }
  TestClient client(port());
  EXPECT_EQ(client.Get("/health").status, 200);
  EXPECT_EQ(client.Post("/act", Body(), "authorization: Bearer " + key + "\r\n").body, Expected());
}

TEST_F(ServerTest, TwoHundredClientsAtOnceAllGetTheirOwnAnswer) {
  Start();
  std::vector<std::string> instructions, expected;
  for (int i = 0; i < 8; ++i) {
    instructions.push_back(fmt::format("reach for number {}", i * i));
    expected.push_back(Expected(instructions.back()));
  }
  std::optional<Turns::Turn> turn = service().turns().Take();
  std::atomic<int> right = 0;
  std::vector<std::thread> clients;
  for (size_t i = 0; i < 200; ++i) {
    clients.emplace_back(
        [&, i] { right += TestClient(port()).Post("/act", Body(instructions[i % 8])).body == expected[i % 8]; });
  }
  AwaitQueue(201);
  turn.reset();
  for (std::thread& t : clients) t.join();
  EXPECT_EQ(right, 200);
}

TEST_F(ServerTest, AFullQueueIsA503ThatSaysWhenToAskAgain) {
  Start({}, {.queue = 2});
  std::optional<Turns::Turn> turn = service().turns().Take();
  std::thread waiting([&] { EXPECT_EQ(TestClient(port()).Post("/act", Body()).status, 200); });
  AwaitQueue(2);
  TestClient client(port());
  const TestResponse full = client.Post("/act", Body());
  EXPECT_EQ(full.status, 503);
  EXPECT_EQ(full.headers.at("retry-after"), "1");
  EXPECT_THAT(full.error(), HasSubstr("2 requests are waiting"));
  turn.reset();
  waiting.join();
  AwaitQueue(0);
  EXPECT_EQ(client.Post("/act", Body()).body, Expected());
}

TEST_F(ServerTest, AStopAnswersWhatHasBegunAndTakesNothingMore) {
  Start();
  const std::string expected = Expected();
  std::optional<Turns::Turn> turn = service().turns().Take();
  std::vector<std::thread> clients;
  clients.reserve(3);
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      TestClient client(port());
      const TestResponse response = client.Post("/act", Body());
      EXPECT_EQ(response.body, expected);
      EXPECT_EQ(response.headers.at("connection"), "close");
      EXPECT_TRUE(client.AtEnd());
    });
  }
  AwaitQueue(4);
  TestClient idle(port());
  EXPECT_EQ(idle.Get("/health").status, 200);
  stop_ = true;
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_THAT(ErrorOf([&] { TestClient(port()).Get("/health"); }), HasSubstr("Connection refused"));
  turn.reset();
  for (std::thread& t : clients) t.join();
  thread_.join();
}

TEST_F(ServerTest, APortThatIsTakenIsAnErrorAndOneThatWasUsedIsFree) {
  Start();
  const int used = port();
  EXPECT_THAT(ErrorOf([&] { Server(service(), {.port = used}); }),
              HasSubstr(fmt::format("port {} of 127.0.0.1 is taken", used)));
  ExpectService();
  Stop();
  server_.reset();
  EXPECT_EQ(Server(service(), {.port = used}).port(), used);
}

TEST_F(ServerTest, KnowsWhereItListens) {
  Start();
  EXPECT_TRUE(server_->loopback());
  EXPECT_EQ(server_->url(), fmt::format("http://127.0.0.1:{}", port()));
  EXPECT_FALSE(Server(service(), {.host = "0.0.0.0", .port = 0}).loopback());
  EXPECT_THAT(ErrorOf([&] { Server(service(), {.host = "no such host", .port = 0}); }),
              HasSubstr("host is \"no such host\", expected a name or an address of this machine"));
  EXPECT_THAT(ErrorOf([&] { Server(service(), {.host = "192.0.2.1", .port = 0}); }),
              HasSubstr("port 0 of 192.0.2.1 cannot be listened at"));
}

}  // namespace
}  // namespace kinetok
