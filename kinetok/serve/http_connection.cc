#include "kinetok/serve/http_connection.h"

#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <exception>

#include "kinetok/base/error.h"
#include "kinetok/serve/client_stream.h"
#include "kinetok/serve/request_head.h"

namespace kinetok {
namespace {

// As the HTTP library sees it.
class HttpStream : public httplib::Stream {
 public:
  explicit HttpStream(ClientStream& client) : client_(client) {}
  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* data, size_t size) override {
    const int64_t n = client_.Read(data, size);
    for (int64_t i = 0; i < n && !head_.done(); ++i) {
      if (!head_.Take(data[i])) return -1;
    }
    return n;
  }
  ssize_t write(const char* data, size_t size) override {
    return client_.Write({data, size}) ? static_cast<ssize_t>(size) : -1;
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return 0; }  // it only asks whether select() could take the number

  void BeginHead() { head_ = {}; }
  const RequestHead& head() const { return head_; }  // of this request

 private:
  ClientStream& client_;
  RequestHead head_;
};

std::string Seconds(std::chrono::milliseconds time) {
  return fmt::format("{:g}", std::chrono::duration<double>(time).count());
}

// "/act" of "http://robot:8000/act", the form that clients of a proxy send (RFC 9112, 3.2.2).
std::string OriginForm(const std::string& path) {
  const size_t scheme = path.find("://");
  if (path.starts_with('/') || scheme == std::string::npos) return path;
  const size_t slash = path.find('/', scheme + 3);
  return slash == std::string::npos ? "/" : path.substr(slash);
}

// Content-Length; empty unless it is there once and a number. The library would decode "%31".
std::optional<int64_t> ContentLength(const RequestHead& head) {
  const std::vector<std::string> values = head.Values("content-length");
  if (values.size() != 1) return std::nullopt;
  const std::string& text = values[0];
  int64_t length = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (fault != std::errc() || end != text.data() + text.size() || length < 0) return std::nullopt;
  return length;
}

// A server of the library that has this one connection and never listens: its own loop would wait for slow clients
// without end, read heads of any length, and drop what waits when it stops.
class Connection : private httplib::Server {
 public:
  Connection(int socket, const ConnectionContext& context)
      : context_(context),
        client_(socket, context.stop_event,
                {.idle = context.options.idle_timeout,
                 .silence = context.options.silence_timeout,
                 .request = context.options.request_timeout}),
        stream_(client_) {
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Send(Respond(request, response), response);
      return HandlerResponse::Handled;
    });
    set_expect_100_continue_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (const auto refusal = Refuse(request, response)) Send(*refusal, response);
      return response.status < 0 ? 100 : response.status;
    });
    set_error_handler(HandlerWithResponse([this](const httplib::Request&, httplib::Response& response) {
      if (response.body.empty()) Send(FaultAnswer(response.status), response);
      return HandlerResponse::Unhandled;
    }));
    set_post_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) { Finish(request, response); });
  }

  void Serve() {
    while (!closing_ && client_.AwaitRequest()) {
      head_read_ = false;
      stream_.BeginHead();
      bool closed = false;
      const bool answered = process_request(stream_, false, closed, [this](httplib::Request& r) { Prepare(r); });
      if (!answered && !client_.wrote()) WriteFault();
      closing_ = closing_ || closed || !answered;
    }
    if (!head_read_ || endless_ || client_.unread_body() > 0) client_.Linger();
  }

 private:
  // Called once the head has been read.
  void Prepare(httplib::Request& request) {
    head_read_ = true;
    request.path = OriginForm(request.path);
    const RequestHead& head = stream_.head();
    const std::optional<int64_t> length = ContentLength(head);
    client_.BeginBody(length.value_or(0));
    const std::vector<std::string> connection = ListParts(head.Values("connection"));
    const auto says = [&](std::string_view word) { return std::ranges::find(connection, word) != connection.end(); };
    endless_ = !head.Values("transfer-encoding").empty() ||
               (!length && (request.method == "POST" || !head.Values("content-length").empty()));
    closing_ = says("close") || (request.version == "HTTP/1.0" && !says("keep-alive")) || endless_;
    // Answers are short, whole and JSON, whatever the client would also take.
    request.ranges.clear();
    request.headers.erase("Accept-Encoding");
  }

  // What is wrong with a request before its body is read.
  std::optional<Answer> Refuse(const httplib::Request& request, httplib::Response& response) const {
    const ServerOptions& options = context_.options;
    const bool act = request.path == "/act";
    if (!act && request.path != "/health") {
      return ErrorAnswer(404, fmt::format("the path is {}, expected POST /act or GET /health", Quoted(request.path)));
    }
    if (act ? request.method != "POST" : request.method != "GET" && request.method != "HEAD") {
      response.set_header("Allow", act ? "POST" : "GET, HEAD");
      return ErrorAnswer(
          405, fmt::format("the method is {}, expected {} for {}", request.method, act ? "POST" : "GET", request.path));
    }
    if (!act) return std::nullopt;
    const RequestHead& head = stream_.head();
    const std::vector<std::string> keys = head.Values("authorization");
    if (options.api_key && !options.api_key->Opens(keys.empty() ? "" : keys[0])) {
      response.set_header("WWW-Authenticate", "Bearer");
      return ErrorAnswer(401, !keys.empty()
                                  ? "the header Authorization does not hold this server's key, expected \"Bearer KEY\""
                                  : "the header Authorization is missing, expected \"Bearer KEY\"");
    }
    if (const auto encodings = head.Values("transfer-encoding"); !encodings.empty()) {
      return ErrorAnswer(411, fmt::format("Transfer-Encoding is {}, expected none: a body whole, with Content-Length",
                                          Quoted(encodings[0])));
    }
    const std::vector<std::string> lengths = head.Values("content-length");
    if (lengths.empty()) return ErrorAnswer(411, "the header Content-Length is missing");
    const std::optional<int64_t> length = ContentLength(head);
    if (!length) {
      return ErrorAnswer(400, fmt::format("Content-Length is {}, expected one number of bytes", Quoted(lengths[0])));
    }
    if (*length > options.max_body_bytes) {
      return ErrorAnswer(413, fmt::format("Content-Length is {}; the limit is {} bytes (--max-body-bytes)", *length,
                                          options.max_body_bytes));
    }
    for (const std::string& encoding : ListParts(head.Values("content-encoding"))) {
      if (encoding.empty() || encoding == "identity") continue;
      return ErrorAnswer(415, fmt::format("Content-Encoding is {}, expected none", Quoted(encoding)));
    }
    return std::nullopt;
  }

  Answer Respond(const httplib::Request& request, httplib::Response& response) try {
    if (const auto refusal = Refuse(request, response)) return *refusal;
    if (request.path == "/health") return context_.service.Health(context_.stopping);
    ByteBudget::Share room(context_.bodies, client_.unread_body());
    std::optional<std::string> body = client_.ReadBody(room);
    if (!body) return FaultAnswer(400);
    return context_.service.Act(std::move(*body), [this] { return client_.Gone(); });
  } catch (const std::bad_alloc&) {
    return ErrorAnswer(500, "out of memory");
  } catch (const std::exception& e) {
    return ErrorAnswer(500, e.what());
  }

  // Of a request that could not be read; `status` is what the library makes of it.
  Answer FaultAnswer(int status) const {
    const ServerOptions& options = context_.options;
    switch (client_.fault()) {
      case ClientStream::Fault::kTimeout:
        return ErrorAnswer(
            408, fmt::format("the request did not arrive whole{}, expected at least {} KiB of it, or its rest, "
                             "every {} s, and all in {} s",
                             MissingBytes(), kPaceBytes >> 10, Seconds(options.silence_timeout),
                             Seconds(options.request_timeout)));
      case ClientStream::Fault::kLongHead:
        return ErrorAnswer(431, "the headers take more than 64 KiB");
      case ClientStream::Fault::kClosed:
        return ErrorAnswer(400, fmt::format("the request ended before it was whole{}", MissingBytes()));
      case ClientStream::Fault::kNoRoom:
        return ErrorAnswer(503, "too many long requests are waiting; ask again in a second");
      case ClientStream::Fault::kNone:
        break;
    }
    const RequestHead& head = stream_.head();
    if (!head.fault().empty()) return ErrorAnswer(head.long_header() ? 431 : 400, head.fault());
    switch (status) {
      case 414:
        return ErrorAnswer(414, "the request line takes more than 8192 bytes");
      case 416:
        return ErrorAnswer(416, "the header Range is not valid, expected none");
      case 400:
        return ErrorAnswer(400, "the request is not HTTP/1.1: expected \"POST /act HTTP/1.1\" and headers");
      default:
        return ErrorAnswer(status, "the request could not be answered");
    }
  }

  std::string MissingBytes() const {
    return head_read_ ? fmt::format(": {} bytes of Content-Length are missing", client_.unread_body()) : "";
  }

  static void Send(const Answer& answer, httplib::Response& response) {
    response.status = answer.status;
    response.set_content(answer.body, "application/json");
    if (answer.status == 503) response.set_header("Retry-After", "1");
  }

  // The last change to an answer before it is written, and the library's own headers put right.
  void Finish(const httplib::Request& request, httplib::Response& response) {
    const bool full = context_.connections >= context_.options.max_connections;
    closing_ = closing_ || !head_read_ || client_.unread_body() > 0 || context_.stopping || full ||
               client_.fault() != ClientStream::Fault::kNone;
    for (const char* name : {"Keep-Alive", "Connection", "Content-Length"}) response.headers.erase(name);
    response.set_header("Connection", closing_ ? "close" : "keep-alive");
    response.set_header("Content-Length", std::to_string(response.body.size()));
    Report(request.method, request.path, response.status);
  }

  // For the requests that the library leaves without an answer.
  void WriteFault() {
    const Answer answer = FaultAnswer(400);
    const char* reason = answer.status == 408   ? "Request Timeout"
                         : answer.status == 431 ? "Request Header Fields Too Large"
                                                : "Bad Request";
    client_.Write(
        fmt::format("HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nConnection: close\r\n"
                    "Content-Length: {}\r\n\r\n{}",
                    answer.status, reason, answer.body.size(), answer.body));
    Report("", "", answer.status);
  }

  void Report(const std::string& method, const std::string& path, int status) const {
    if (!context_.options.on_request) return;
    context_.options.on_request({client_.peer(), method, path, status, client_.Seconds()});
  }

  const ConnectionContext& context_;
  ClientStream client_;
  HttpStream stream_;
  bool closing_ = false;   // after the answer to this request
  bool head_read_ = true;  // of this request
  bool endless_ = false;   // where its body ends is not known
};

}  // namespace

void RequireHttp() {}

void ServeConnection(int socket, const ConnectionContext& context) noexcept {
  try {
    Connection(socket, context).Serve();
  } catch (const std::exception&) {
    // Out of memory for this client; the others go on.
  }
}

}  // namespace kinetok
