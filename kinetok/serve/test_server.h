// A server of the test policy on a free port, for as long as a test lasts.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "kinetok/serve/act_request.h"
#include "kinetok/serve/act_request_cases.h"
#include "kinetok/serve/server.h"
#include "kinetok/serve/test_client.h"
#include "kinetok/vla/test_policy.h"

namespace kinetok {

class ServerTest : public ::testing::Test, protected TestPolicy {
 protected:
  ~ServerTest() override {
    if (thread_.joinable()) Stop();
  }

  void Start(ServerOptions options = {}, const ActServiceOptions& act = {}) {
    options.port = 0;
    service_.emplace(policy_, act);
    server_.emplace(*service_, std::move(options));
    thread_ = std::thread([this] { server_->Run(stop_); });
  }
  void Stop() {
    stop_ = true;
    thread_.join();
  }
  int port() const { return server_->port(); }
  ActService& service() { return *service_; }

  std::string Body(const std::string& instruction = "reach") const {
    return ActRequestJson(View(), instruction).dump();
  }
  std::string Expected(const std::string& instruction = "reach") {
    return FormatAction(policy_.Act(View(), instruction).values, false);
  }
  void ExpectService() { EXPECT_EQ(TestClient(port()).Post("/act", Body()).body, Expected()); }
  void AwaitQueue(int64_t length) {
    while (service_->turns().length() != length) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  Policy policy_{dir, {.threads = 1, .isa = "auto"}};
  std::optional<ActService> service_;
  std::optional<Server> server_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace kinetok
