#include "kinetok/serve/request_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

RequestHead Read(std::string_view headers, std::string_view first = "GET /health HTTP/1.1\r\n") {
  RequestHead head;
  for (const char c : std::string(first) + std::string(headers)) {
    if (head.done() || !head.Take(c)) break;
  }
  return head;
}

TEST(RequestHeadTest, HeadersAreReadAsTheyCame) {
  const RequestHead head =
      Read("HOST: x\r\ncontent-length:  %31 \t\r\nX:\r\nConnection: close\r\nConnection: A ,b\r\n\r\nbody");
  EXPECT_TRUE(head.done());
  EXPECT_EQ(head.fault(), "");
  EXPECT_THAT(head.Values("host"), ElementsAre("x"));
  EXPECT_THAT(head.Values("content-length"), ElementsAre("%31"));
  EXPECT_THAT(head.Values("x"), ElementsAre(""));
  EXPECT_THAT(head.Values("y"), IsEmpty());
  EXPECT_THAT(ListParts(head.Values("connection")), ElementsAre("close", "a", "b"));
  EXPECT_FALSE(Read("Host: x\r\n").done());
}

TEST(RequestHeadTest, WhatCouldBeReadInTwoWaysIsRefused) {
  const auto fault = [](std::string_view headers, std::string_view first = "GET / HTTP/1.1\r\n") {
    const RequestHead head = Read(headers, first);
    EXPECT_FALSE(head.done()) << headers;
    EXPECT_FALSE(head.long_header()) << headers;
    return head.fault();
  };
  const std::string ends = "the request is not HTTP/1.1: a line of its head does not end with CR and LF";
  EXPECT_EQ(fault("Content-Length: 2\n\r\n"), ends);
  EXPECT_EQ(fault("Content-Length: 2\rX: 3\r\n\r\n"), ends);
  EXPECT_EQ(fault("", "GET / HTTP/1.1\n"), ends);
  for (const char* line : {"Content-Length : 2", " Content-Length: 2", "\tfolded", "Content-Length", ": 2", "a b: 2",
                           "\xed\x95\x9c: 2", "(x): 2"}) {
    EXPECT_THAT(fault(std::string(line) + "\r\n\r\n"), HasSubstr("expected a name, a colon right after it")) << line;
  }
  EXPECT_EQ(fault(std::string("X: a\0b\r\n\r\n", 10)), "the header \"X\" holds a control character");
}

TEST(RequestHeadTest, AHeaderHasALimit) {
  const std::string value(RequestHead::kMaxHeader - 3, 'x');
  EXPECT_TRUE(Read("X: " + value + "\r\n\r\n").done());
  const RequestHead head = Read("X: x" + value + "\r\n\r\n");
  EXPECT_TRUE(head.long_header());
  EXPECT_EQ(head.fault(), "a header takes more than 8192 bytes");
}

}  // namespace
}  // namespace kinetok
