// kinetok serve: a policy over HTTP, for robots that ask as OpenVLA's clients do.

#include <fmt/format.h>
#include <malloc.h>

#include <csignal>
#include <filesystem>

#include "cli/cli.h"
#include "cli/image_flags.h"
#include "kinetok/serve/server.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, api_key_file;
  ServerOptions server;
  ActServiceOptions act;
  bool verbose = false;
};

// The last part of the path: clients need not know where the model lies.
std::string ModelName(const std::string& dir) {
  const auto path = std::filesystem::absolute(dir).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

void NoteRequest(const ServedRequest& r) {
  const std::string what = r.method.empty() ? "not HTTP" : fmt::format("{} {}", r.method, r.path);
  std::string line = fmt::format("{} {} {} {:.1f} ms", r.client, what, r.status, 1e3 * r.seconds);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = '?';  // a client may ask for any path
  }
  Note(line + "\n");
}

// Left to itself, malloc learns to keep freed blocks as long as bodies, in an arena a thread: many times the memory
// that the server's limits allow.
void ReturnFreedMemory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 2 << 20);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
#endif
}

int Serve(const Common& common, Flags& flags) {
  RequireHttp();
  ReturnFreedMemory();
  RequireModel(flags.model);
  CheckUnnormKey(flags.model, common, flags.act.unnorm_key);
  if (!flags.api_key_file.empty()) flags.server.api_key = ReadApiKey(flags.api_key_file);
  if (flags.verbose) flags.server.on_request = NoteRequest;
  flags.act.model = ModelName(flags.model);
  flags.server.max_connections = static_cast<int>(flags.act.queue) + 256;  // some for those who ask how it is

  Policy policy(flags.model, {.threads = common.threads, .isa = common.isa}, common.Loading());
  ActService service(policy, flags.act);
  Server server(service, flags.server);
  const std::atomic<bool>& stop = CatchInterrupt();
  if (!server.loopback() && !flags.server.api_key) {
    Note(fmt::format("warning: whoever reaches {} may ask this policy; --api-key-file F lets in only who knows a key\n",
                     server.url()));
  }
  Note(fmt::format("serving {} at {} (POST /act, GET /health; Ctrl-C ends it)\n", flags.model, server.url()));
  if (common.json) PrintJson({{"url", server.url()}, {"port", server.port()}});
  server.Run(stop);
  return CaughtSignal() == SIGINT ? kInterrupted : 0;
}

}  // namespace

void AddServe(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, common,
                                 {"serve", "Answer robots over HTTP: POST /act as OpenVLA's clients send it",
                                  "kinetok serve --model openvla-7b --port 8000 --unnorm-key bridge_orig"},
                                 [flags, &common] { return Serve(common, *flags); });
  command->add_option("--model", flags->model, "A policy's directory, in OpenVLA's layout");
  AddAdapter(command, common);
  command->add_option("--host", flags->server.host, "The address to listen at; 0.0.0.0 lets other machines ask")
      ->capture_default_str();
  command->add_option("--port", flags->server.port, "0: one that is free, which is told")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  command->add_option("--api-key-file", flags->api_key_file,
                      "A file with a key that requests must bring: Authorization: Bearer KEY");
  command->add_option("--unnorm-key", flags->act.unnorm_key, "The data set for requests that name none");
  AddMaxImagePixels(command, flags->act.max_image_pixels);
  command->add_option("--max-body-bytes", flags->server.max_body_bytes, "The longest request that is read")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--queue", flags->act.queue, "Requests that are answered or wait; more are sent away with 503")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{4096}));
  command->add_flag("--verbose", flags->verbose, "A line a request on stderr");
}

}  // namespace kinetok::cli
