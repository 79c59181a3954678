// The server over TLS, with a certificate that the test makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "base/temporary_folder.h"
#include "net/beast.h"
#include "net/client_for_test.h"
#include "net/server.h"

namespace sightline::net {
namespace {

// Signed by itself, for localhost.
void make_certificate(const std::string& certificate_file, const std::string& key_file) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  ASSERT_GT(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
  const auto write = [](const std::string& file, const auto& body) {
    BIO* bio = BIO_new_file(file.c_str(), "w");
    body(bio);
    BIO_free(bio);
  };
  write(certificate_file, [&](BIO* bio) { PEM_write_bio_X509(bio, certificate.get()); });
  write(key_file, [&](BIO* bio) { PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}

TEST(Tls, AnswersOverTlsAndNotWithoutIt) {
  const TemporaryFolder folder;
  ServerOptions options;
  options.certificate = folder / "certificate.pem";
  options.key = folder / "key.pem";
  make_certificate(options.certificate, options.key);
  const std::string certificate = options.certificate;
  std::vector<Route> routes;
  routes.push_back(answered("GET", "/hello", Scope::read, "", [](const Request&) -> Result<Response> {
    return json_response({{"hello", "you"}});
  }));
  const auto server = Server::start(std::move(options), std::move(routes));
  ASSERT_TRUE(server.ok()) << server.error().message;
  EXPECT_TRUE(server->url().starts_with("https://"));

  asio::io_context io;
  asio::ssl::context context(asio::ssl::context::tls_client);
  context.load_verify_file(certificate);
  context.set_verify_mode(asio::ssl::verify_peer);
  asio::ssl::stream<tcp::socket> stream(io, context);
  stream.lowest_layer().connect({asio::ip::address_v4::loopback(), server->port()});
  stream.handshake(asio::ssl::stream_base::client);
  for (int i = 0; i < 2; ++i) {
    asio::write(stream, asio::buffer(std::string("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")));
    std::string answer;
    asio::read_until(stream, asio::dynamic_buffer(answer), "you\"}");
    EXPECT_EQ(status_of(answer), 200);
  }

  TestClient plain(server->port());
  ASSERT_TRUE(plain.send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  EXPECT_THAT(plain.all(), ::testing::Not(::testing::HasSubstr("hello")));
}

}  // namespace
}  // namespace sightline::net
