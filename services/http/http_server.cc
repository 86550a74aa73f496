// SPDX-License-Identifier: Apache-2.0
#include "services/http/http_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <future>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "common/bytes.h"
#include "common/log.h"

namespace cloister::services {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

using LocalProtocol = asio::local::stream_protocol;
using LocalStream = beast::basic_stream<LocalProtocol>;
using TlsStream = asio::ssl::stream<beast::tcp_stream>;

constexpr int kIoThreads = 2;
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::milliseconds kTlsShutdownTimeout{2'000};

class SessionBase {
 public:
  virtual ~SessionBase() = default;
  virtual std::shared_ptr<SessionBase> Self() = 0;  // Null while it is being destroyed. From any thread.
  virtual void CloseNow() = 0;                      // From any thread.
};

// What sessions share. Outlives them: Stop() waits until the last one is gone.
struct Shared {
  HttpLimits limits;
  HttpHandler handler;
  asio::thread_pool* workers = nullptr;
  std::atomic<uint32_t> waiting{0};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::set<SessionBase*> sessions;  // Guarded by mutex.

  // False when the server is full or stopping.
  bool Enter(SessionBase* session) {
    std::lock_guard lock(mutex);
    if (stopping || sessions.size() >= limits.connections_max) return false;
    sessions.insert(session);
    return true;
  }
  void Leave(SessionBase* session) {
    std::lock_guard lock(mutex);
    sessions.erase(session);
  }
};

struct Peer {
  bool local = false;
  std::optional<uint32_t> uid;
  std::string address;
};

std::string Head(const HttpResponse& response, bool keep_alive, std::optional<size_t> length, bool chunked) {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head += std::string(http::obsolete_reason(static_cast<http::status>(response.status))) + "\r\n";
  head += "Content-Type: " + response.content_type + "\r\n";
  head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
  for (const auto& [name, value] : response.headers) head += name + ": " + value + "\r\n";
  if (length.has_value()) head += "Content-Length: " + std::to_string(*length) + "\r\n";
  if (chunked) head += "Transfer-Encoding: chunked\r\n";
  head += keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  return head + "\r\n";
}

std::string ChunkFrame(std::string_view bytes) {
  char size[24];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  std::string frame = size;
  frame.append(bytes);
  return frame + "\r\n";
}

HttpResponse PlainError(int status, std::string_view code, std::string_view message) {
  HttpResponse response;
  response.status = status;  // Constants without characters that JSON would escape.
  response.body = "{\"error\":{\"code\":\"" + std::string(code) + "\",\"message\":\"" + std::string(message) +
                  "\",\"type\":\"invalid_request_error\",\"param\":null}}\n";
  return response;
}

// The answer to a request that could not be read; nothing for connections that merely ended.
std::optional<HttpResponse> ResponseForReadError(error_code error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return PlainError(431, "HEADER_TOO_LARGE", "the request's header is larger than this server accepts");
  }
  if (error == http::error::body_limit) {
    return PlainError(413, "BODY_TOO_LARGE", "the request's body is larger than this server accepts");
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == http::make_error_code(http::error::bad_method).category()) {
    return PlainError(400, "BAD_REQUEST", "this is not a well-formed HTTP/1.1 request");
  }
  return std::nullopt;
}

template <class Stream>
class Session final : public SessionBase, public std::enable_shared_from_this<Session<Stream>> {
 public:
  template <class... Args>
  Session(Shared& shared, Peer peer, Args&&... args)
      : shared_(shared), peer_(std::move(peer)), stream_(std::forward<Args>(args)...) {}
  ~Session() override {
    if (entered_) shared_.Leave(this);
  }

  void Start() {
    entered_ = shared_.Enter(this);
    if (!entered_) return;  // The stream closes with the session.
    auto self = this->shared_from_this();
    asio::post(stream_.get_executor(), [self] { self->Handshake(); });
  }

  std::shared_ptr<SessionBase> Self() override { return this->weak_from_this().lock(); }
  void CloseNow() override {
    // Only posts: the session may be in use on its strand.
    asio::post(stream_.get_executor(), [self = this->shared_from_this()] { self->Close(); });
  }

 private:
  class Writer;
  auto& lowest() { return beast::get_lowest_layer(stream_); }

  void Handshake() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      lowest().expires_after(shared_.limits.handshake_timeout);
      auto self = this->shared_from_this();
      stream_.async_handshake(asio::ssl::stream_base::server, [self](error_code error) {
        if (error) return self->Close();
        self->WaitForRequest();
      });
    } else {
      WaitForRequest();
    }
  }

  void WaitForRequest() {
    if (shared_.stopping) return Close();
    if (buffer_.size() > 0) return ReadHeader();  // A pipelined request.
    lowest().expires_after(shared_.limits.idle_timeout);
    auto self = this->shared_from_this();
    stream_.async_read_some(buffer_.prepare(4096), [self](error_code error, size_t count) {
      if (error) return self->Close();
      self->buffer_.commit(count);
      self->ReadHeader();
    });
  }

  void ReadHeader() {
    parser_.emplace();
    parser_->header_limit(shared_.limits.header_bytes_max);
    parser_->body_limit(shared_.limits.body_bytes_max);
    // One deadline for header and body together: a client that sends a byte a second gains nothing.
    lowest().expires_after(shared_.limits.read_timeout);
    auto self = this->shared_from_this();
    http::async_read_header(stream_, buffer_, *parser_, [self](error_code error, size_t) {
      if (error) return self->Refuse(error);
      if (self->parser_->get()[http::field::expect] == "100-continue") return self->SendContinue();
      self->ReadBody();
    });
  }

  void SendContinue() {
    outgoing_ = "HTTP/1.1 100 Continue\r\n\r\n";
    auto self = this->shared_from_this();
    asio::async_write(stream_, asio::buffer(outgoing_), [self](error_code error, size_t) {
      if (error) return self->Close();
      self->ReadBody();
    });
  }

  void ReadBody() {
    auto self = this->shared_from_this();
    http::async_read(stream_, buffer_, *parser_, [self](error_code error, size_t) {
      if (error) return self->Refuse(error);
      self->Dispatch();
    });
  }

  void Refuse(error_code error) {
    const std::optional<HttpResponse> response = ResponseForReadError(error);
    if (!response.has_value()) return Close();
    keep_alive_ = false;
    SendWhole(*response);
  }

  // Hands the request to a worker, or answers at once when it cannot be.
  void Dispatch() {
    ++requests_;
    const auto& message = parser_->get();
    keep_alive_ = message.keep_alive() && requests_ < shared_.limits.requests_per_connection_max && !shared_.stopping;
    http11_ = message.version() == 11;
    auto request = std::make_shared<HttpRequest>();
    if (Status status = Convert(*request); !status.ok()) {
      keep_alive_ = false;
      return SendWhole(PlainError(400, "BAD_REQUEST", MessageOf(status)));
    }
    parser_.reset();
    if (shared_.waiting.fetch_add(1) >= shared_.limits.queue_max + shared_.limits.workers) {
      shared_.waiting.fetch_sub(1);
      HttpResponse busy = PlainError(503, "OVERLOADED", "too many requests are waiting; try again shortly");
      busy.headers.emplace_back("Retry-After", "1");
      return SendWhole(busy);
    }
    lowest().expires_never();
    auto self = this->shared_from_this();
    asio::post(*shared_.workers, [self, request] { self->Handle(*request); });
  }

  Status Convert(HttpRequest& request) {
    auto message = parser_->release();
    request.method = std::string(message.method_string());
    CLOISTER_RETURN_IF_ERROR(ParseTarget(std::string_view(message.target().data(), message.target().size()), request));
    for (const auto& field : message) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
      request.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    request.body = std::move(message.body());
    request.local = peer_.local;
    request.peer_uid = peer_.uid;
    request.remote_address = peer_.address;
    return absl::OkStatus();
  }

  void Handle(const HttpRequest& request);

  // On the strand. Ends the response and goes on with the next request.
  void SendWhole(const HttpResponse& response) {
    outgoing_ = Head(response, keep_alive_, response.body.size(), false) + response.body;
    WriteLast();
  }
  void WriteLast() {
    lowest().expires_after(shared_.limits.write_timeout);
    auto self = this->shared_from_this();
    asio::async_write(stream_, asio::buffer(outgoing_), [self](error_code error, size_t) {
      self->outgoing_.clear();
      if (error) return self->Close();
      if (self->keep_alive_) return self->WaitForRequest();
      self->CloseInOrder();
    });
  }

  // From a worker: writes on the strand and waits for it.
  bool WriteBlocking(std::string bytes) {
    if (shared_.stopping) return false;
    auto done = std::make_shared<std::promise<bool>>();
    std::future<bool> result = done->get_future();
    auto self = this->shared_from_this();
    asio::post(stream_.get_executor(), [self, done, bytes = std::move(bytes)]() mutable {
      self->outgoing_ = std::move(bytes);
      self->lowest().expires_after(self->shared_.limits.write_timeout);
      asio::async_write(self->stream_, asio::buffer(self->outgoing_),
                        [self, done](error_code error, size_t) { done->set_value(!error); });
    });
    return result.get();
  }

  void CloseInOrder() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      lowest().expires_after(kTlsShutdownTimeout);
      auto self = this->shared_from_this();
      stream_.async_shutdown([self](error_code) { self->Close(); });
    } else {
      error_code ignored;
      lowest().socket().shutdown(asio::socket_base::shutdown_send, ignored);
      Close();
    }
  }
  void Close() { lowest().close(); }

  Shared& shared_;
  Peer peer_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::string outgoing_;
  uint32_t requests_ = 0;
  bool keep_alive_ = false;
  bool http11_ = true;
  bool entered_ = false;
};

template <class Stream>
class Session<Stream>::Writer final : public HttpWriter {
 public:
  explicit Writer(Session& session) : session_(session) {}
  void Send(HttpResponse response) override {
    CLOISTER_CHECK(!streaming_ && !whole_.has_value());
    whole_ = std::move(response);
  }
  bool StartStream(const HttpResponse& head) override {
    CLOISTER_CHECK(!streaming_ && !whole_.has_value());
    streaming_ = true;
    if (!session_.http11_) session_.keep_alive_ = false;  // HTTP/1.0: the end of the connection ends the body.
    return Put(Head(head, session_.keep_alive_, std::nullopt, session_.http11_));
  }
  bool Write(std::string_view bytes) override {
    CLOISTER_CHECK(streaming_);
    if (bytes.empty()) return alive_;  // An empty chunk would end the body.
    return Put(session_.http11_ ? ChunkFrame(bytes) : std::string(bytes));
  }
  bool streaming() const { return streaming_; }
  bool alive() const { return alive_; }
  std::optional<HttpResponse>& whole() { return whole_; }

 private:
  bool Put(std::string bytes) {
    alive_ = alive_ && session_.WriteBlocking(std::move(bytes));
    return alive_;
  }
  Session& session_;
  bool streaming_ = false;
  bool alive_ = true;
  std::optional<HttpResponse> whole_;
};

template <class Stream>
void Session<Stream>::Handle(const HttpRequest& request) {
  Writer writer(*this);
  shared_.handler(request, writer);
  shared_.waiting.fetch_sub(1);
  auto self = this->shared_from_this();
  if (writer.streaming()) {
    const bool alive = writer.alive();
    asio::post(stream_.get_executor(), [self, alive] {
      if (!alive) return self->Close();
      self->outgoing_ = self->http11_ ? "0\r\n\r\n" : "";
      self->WriteLast();
    });
    return;
  }
  HttpResponse response =
      writer.whole().has_value() ? std::move(*writer.whole()) : PlainError(500, "INTERNAL", "no answer was made");
  asio::post(stream_.get_executor(), [self, response = std::move(response)] { self->SendWhole(response); });
}

StatusOr<std::pair<std::string, uint16_t>> ParseListen(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  const Status bad = InvalidArgument("gateway.listen must be ADDRESS:PORT, for example 127.0.0.1:8443");
  if (colon == std::string::npos || colon == 0 || colon + 1 == listen.size() || listen.size() - colon > 6) return bad;
  unsigned port = 0;
  for (char c : listen.substr(colon + 1)) {
    if (c < '0' || c > '9') return bad;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  if (port > 65535) return bad;
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return std::make_pair(host, static_cast<uint16_t>(port));
}

}  // namespace

struct HttpServer::State {
  Shared shared;
  asio::io_context io;
  asio::ssl::context tls{asio::ssl::context::tls_server};
  std::unique_ptr<asio::thread_pool> workers;
  std::optional<LocalProtocol::acceptor> local;
  std::optional<asio::ip::tcp::acceptor> tcp;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work;
  std::vector<std::thread> io_threads;
  uint16_t port = 0;
  bool stopped = false;

  Status ListenLocal(const std::filesystem::path& path);
  Status ListenTls(const HttpServerOptions& options);
  void AcceptLocal();
  void AcceptTls();
  // Out of descriptors or the like: waits a little, so that the loop does not spin.
  template <class Next>
  void Later(Next next) {
    auto timer = std::make_shared<asio::steady_timer>(io, kAcceptPause);
    timer->async_wait([timer, next](error_code) { next(); });
  }
};

Status HttpServer::State::ListenLocal(const std::filesystem::path& path) {
  if (path.native().size() > 100) return InvalidArgument("the path of the Unix socket is longer than 100 bytes");
  ::unlink(path.c_str());
  error_code error;
  local.emplace(io);
  local->open(LocalProtocol(), error);
  if (!error) local->bind(LocalProtocol::endpoint(path.native()), error);
  // Nobody can connect between bind and listen, so the mode is right from the first connection.
  if (!error && ::chmod(path.c_str(), 0600) != 0) return Unavailable("cannot set the mode of the gateway's socket");
  if (!error) local->listen(asio::socket_base::max_listen_connections, error);
  if (error) return Unavailable("cannot listen on the gateway's Unix socket: " + error.message());
  AcceptLocal();
  return absl::OkStatus();
}

Status HttpServer::State::ListenTls(const HttpServerOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(auto address_port, ParseListen(options.listen));
  error_code error;
  const asio::ip::address address = asio::ip::make_address(address_port.first, error);
  if (error) return InvalidArgument("gateway.listen must name an IP address, for example 127.0.0.1:8443");
  SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_3_VERSION);
  tls.use_certificate_chain(asio::buffer(options.certificate_pem), error);
  if (!error) {
    tls.use_private_key(asio::buffer(options.private_key_pem.data(), options.private_key_pem.size()),
                        asio::ssl::context::pem, error);
  }
  if (error) return InvalidArgument("the gateway's TLS certificate or key cannot be used");
  const asio::ip::tcp::endpoint endpoint(address, address_port.second);
  tcp.emplace(io);
  tcp->open(endpoint.protocol(), error);
  if (!error) tcp->set_option(asio::socket_base::reuse_address(true), error);
  if (!error) tcp->bind(endpoint, error);
  if (!error) tcp->listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return Unavailable("cannot listen on " + options.listen + ": " + error.message() +
                       "; set gateway.listen to a free address and port");
  }
  port = tcp->local_endpoint(error).port();
  AcceptTls();
  return absl::OkStatus();
}

void HttpServer::State::AcceptLocal() {
  local->async_accept(asio::make_strand(io), [this](error_code error, LocalProtocol::socket socket) {
    if (shared.stopping || error == asio::error::operation_aborted) return;
    if (error) return Later([this] { if (!shared.stopping) AcceptLocal(); });
    Peer peer{true, std::nullopt, ""};
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
      peer.uid = credentials.uid;
    }
    std::make_shared<Session<LocalStream>>(shared, std::move(peer), std::move(socket))->Start();
    AcceptLocal();
  });
}

void HttpServer::State::AcceptTls() {
  tcp->async_accept(asio::make_strand(io), [this](error_code error, asio::ip::tcp::socket socket) {
    if (shared.stopping || error == asio::error::operation_aborted) return;
    if (error) return Later([this] { if (!shared.stopping) AcceptTls(); });
    error_code ignored;
    const auto endpoint = socket.remote_endpoint(ignored);
    Peer peer{false, std::nullopt, ignored ? std::string() : endpoint.address().to_string()};
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    std::make_shared<Session<TlsStream>>(shared, std::move(peer), beast::tcp_stream(std::move(socket)), tls)->Start();
    AcceptTls();
  });
}

StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options, HttpHandler handler) {
  auto state = std::make_unique<State>();
  state->shared.limits = options.limits;
  state->shared.handler = std::move(handler);
  state->workers = std::make_unique<asio::thread_pool>(options.limits.workers);
  state->shared.workers = state->workers.get();
  if (!options.socket.empty()) CLOISTER_RETURN_IF_ERROR(state->ListenLocal(options.socket));
  if (!options.listen.empty()) CLOISTER_RETURN_IF_ERROR(state->ListenTls(options));
  state->work.emplace(state->io.get_executor());
  for (int i = 0; i < kIoThreads; ++i) {
    state->io_threads.emplace_back([io = &state->io] { io->run(); });
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() { Stop(); }

uint16_t HttpServer::port() const { return state_->port; }

uint32_t HttpServer::connections() const {
  std::lock_guard lock(state_->shared.mutex);
  return static_cast<uint32_t>(state_->shared.sessions.size());
}

void HttpServer::Stop() {
  State& state = *state_;
  if (state.stopped) return;
  state.stopped = true;
  asio::post(state.io, [&state] {
    error_code ignored;
    if (state.local) state.local->close(ignored);
    if (state.tcp) state.tcp->close(ignored);
  });
  std::vector<std::shared_ptr<SessionBase>> sessions;
  {
    std::lock_guard lock(state.shared.mutex);
    state.shared.stopping = true;
    for (SessionBase* session : state.shared.sessions) sessions.push_back(session->Self());
  }
  for (const auto& session : sessions) {
    if (session != nullptr) session->CloseNow();
  }
  sessions.clear();  // Not under the mutex: the last reference to a session takes it.
  // Workers first, while I/O still runs: a worker may wait for a write that fails now. Sessions end when their
  // last callback has run, and with them the work of the I/O threads.
  state.workers->join();
  state.work.reset();
  for (std::thread& thread : state.io_threads) thread.join();
}

}  // namespace cloister::services
