#include "base/sha256.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace sightline {
namespace {

// FIPS 180-4's examples, as NIST publishes them (csrc.nist.gov, "SHA256.pdf"), and the empty message of its test vectors.
TEST(Sha256Test, KnownVectors) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_of(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, PiecesAndFilesGiveTheSame) {
  const std::string text(200'000, 'b');
  EXPECT_EQ(Sha256().add(text.substr(0, 77)).add(text.substr(77)).finish(), sha256_of(text));
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file(folder / "a", text).ok());
  EXPECT_EQ(*sha256_of_file(folder / "a"), sha256_of(text));
  EXPECT_EQ(sha256_of_file(folder / "none").error().kind, ErrorKind::not_found);
  EXPECT_FALSE(sha256_of_file(folder.path()).ok());
}

TEST(Sha256Test, FieldsDoNotRunTogether) {
  EXPECT_NE(Sha256().add_field("ab").add_field("c").finish(), Sha256().add_field("a").add_field("bc").finish());
  EXPECT_NE(Sha256().add_field("").finish(), Sha256().finish());
}

TEST(Sha256Test, WhatIsADigest) {
  EXPECT_TRUE(is_digest(sha256_of("x")));
  EXPECT_FALSE(is_digest(""));
  EXPECT_FALSE(is_digest(std::string(63, 'a')));
  EXPECT_FALSE(is_digest(std::string(65, 'a')));
  EXPECT_FALSE(is_digest(std::string(64, 'A')));
  EXPECT_FALSE(is_digest(std::string(64, 'g')));
}

}  // namespace
}  // namespace sightline
