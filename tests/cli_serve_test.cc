// kinetok serve as a user runs it.

#include <fcntl.h>
#include <sys/wait.h>

#include <csignal>
#include <thread>

#include "kinetok/io/io_test_files.h"
#include "kinetok/serve/act_request_cases.h"
#include "kinetok/serve/json_numpy.h"
#include "kinetok/serve/test_client.h"
#include "kinetok/vla/test_policy.h"
#include "tests/cli_test_support.h"

namespace kinetok {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// The program, running; its first line on stdout has come.
class Running {
 public:
  Running(const std::filesystem::path& dir, const std::string& arguments) : err_(dir / "serve_err") {
    int out[2];
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    const std::string line = "exec '" KINETOK_PROGRAM "' serve " + arguments + " 2>'" + err_.string() + "'";
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(127);
    }
    close(out[1]);
    char c = 0;
    while (read(out[0], &c, 1) == 1 && c != '\n') first_ += c;
    close(out[0]);
  }
  ~Running() {
    if (pid_ > 0) End(SIGKILL);
  }
  // The exit status; 128 and the signal when one ended it.
  int End(int signal) {
    Signal(signal);
    return Wait();
  }
  void Signal(int signal) const { kill(pid_, signal); }
  int Wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int port() const { return ParseJson(first_, "stdout").at("port"); }
  const std::string& first() const { return first_; }
  std::string err() const { return ReadFile(err_); }

 private:
  std::filesystem::path err_;
  pid_t pid_ = -1;
  std::string first_;
};

class CliServeTest : public CliTest, protected TestPolicy {
 protected:
  std::string Arguments(const std::string& more = "") const {
    return fmt::format("--model '{}' --port 0 --json --threads 1 {}", dir.string(), more);
  }
  // The program's action for the image that View shows, by `kinetok act`.
  std::vector<double> Act() const {
    WritePng(dir / "image.png", View());
    return RunJson(fmt::format("act --model '{0}' --image '{0}/image.png' --instruction reach --json", dir.string()))
        .at("action");
  }
};

TEST_F(CliServeTest, AnswersAsActDoesUntilItIsTerminated) {
  Running server(dir, Arguments());
  EXPECT_EQ(ParseJson(server.first(), "stdout").at("url"), fmt::format("http://127.0.0.1:{}", server.port()));
  TestClient client(server.port());
  const TestResponse response = client.Post("/act", ActRequestJson(View(), "reach").dump());
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, EncodeDoubles(Act()).dump());
  EXPECT_EQ(Json::parse(client.Get("/health").body).at("model"), dir.filename().string());
  EXPECT_EQ(server.End(SIGTERM), 0);
  EXPECT_EQ(server.err(), fmt::format("serving {} at http://127.0.0.1:{} (POST /act, GET /health; Ctrl-C ends it)\n",
                                      dir.string(), server.port()));
}

TEST_F(CliServeTest, ARequestThatHasBegunIsAnsweredBeforeATerminationEndsIt) {
  Running server(dir, Arguments());
  TestClient client(server.port());
  const std::string body = ActRequestJson(View(), "reach").dump();
  client.Send(fmt::format("POST /act HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}", body.size(), body.substr(0, 100)));
  server.Signal(SIGTERM);
  while (ErrorOf([&] { TestClient(server.port()); }).empty()) {  // until nobody listens any more
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  client.Send(body.substr(100));
  const TestResponse response = client.Receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, EncodeDoubles(Act()).dump());
  EXPECT_EQ(server.Wait(), 0);
}

TEST_F(CliServeTest, AnInterruptEndsItWith130) {
  Running server(dir, Arguments());
  EXPECT_EQ(server.End(SIGINT), 130);
}

TEST_F(CliServeTest, ItsFlagsReachTheServer) {
  WriteFileAtomically(dir / "key", "correct-horse\n");
  WriteFileAtomically(
      dir / "dataset_statistics.json",
      Json({{"one", Statistics({0, 0, 0}, {1, 1, 1})}, {"two", Statistics({0, 0, 0}, {2, 2, 2})}}).dump());
  Running server(dir, Arguments(fmt::format("--host 0.0.0.0 --api-key-file '{}/key' --unnorm-key two --verbose "
                                            "--max-image-pixels 300 --max-body-bytes 2000",
                                            dir.string())));
  TestClient client(server.port());
  const std::string key = "Authorization: Bearer correct-horse\r\n";
  const std::string body = ActRequestJson(View(), "reach").dump();
  EXPECT_EQ(client.Post("/act", body, key).status, 200);
  EXPECT_EQ(client.Post("/act", ActBodyWith("/image/shape", {15, 21, 3}), key).error(),
            "body: image: field \"shape\" is [15,21,3], 315 pixels; the limit is 300 (--max-image-pixels)");
  EXPECT_EQ(client.Post("/act", std::string(2001, ' '), key).status, 413);
  EXPECT_EQ(TestClient(server.port()).Post("/act", body).status, 401);
  EXPECT_EQ(server.End(SIGTERM), 0);
  EXPECT_THAT(server.err(), AllOf(HasSubstr(" POST /act 200 "), HasSubstr(" POST /act 400 "),
                                  HasSubstr(" POST /act 413 "), HasSubstr(" POST /act 401 ")));
  EXPECT_EQ(server.err().find("warning"), std::string::npos);
}

TEST_F(CliServeTest, AnOpenDoorIsWarnedOf) {
  Running server(dir, Arguments("--host 0.0.0.0"));
  EXPECT_EQ(server.End(SIGTERM), 0);
  EXPECT_THAT(server.err(), HasSubstr(fmt::format("warning: whoever reaches http://0.0.0.0:")));
}

TEST_F(CliServeTest, WhatItCannotServeIsSaid) {
  Running server(dir, Arguments());
  ExpectError(fmt::format("serve --model '{}' --port {}", dir.string(), server.port()), 1,
              fmt::format("port {} of 127.0.0.1 is taken", server.port()));
  ExpectError("serve", 2, "no model");
  ExpectError(fmt::format("serve --model '{}' --port 65536", dir.string()), 2, "--port");
  ExpectError(fmt::format("serve --model '{}' --api-key-file none", dir.string()), 1, "none");
  ExpectError(fmt::format("serve --model '{}' --api-key-file ''", dir.string()), 2, "--api-key-file is empty");
  ExpectError(fmt::format("serve --model '{}' --host nowhere.invalid", dir.string()), 1, "host is \"nowhere.invalid\"");
  std::filesystem::remove(dir / "model.safetensors");
  ExpectError(fmt::format("serve --model '{}'", dir.string()), 1, "model.safetensors");
  ExpectError(fmt::format("serve --model '{}' --unnorm-key bridge_orig", dir.string()), 1,
              "unnorm_key is \"bridge_orig\"");  // told before the weights are read
}

}  // namespace
}  // namespace kinetok
